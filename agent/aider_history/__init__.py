"""Chat histories that aider wrote: parsed, diagnosed, and read as the replies of a session.

Any text can be parsed; nothing here raises on a strange file.
"""

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.file import choose_session, read_history, session_list
from ai_sci.agent.aider_history.idea import recognise_idea
from ai_sci.agent.aider_history.turns import HistoryTurn
