"""aider's chat histories: parsed, diagnosed, and turned into the replies of a session.

Any text can be parsed; a malformed history never raises.
"""

from ai_sci.agent.aider_history.diagnosis import diagnose
from ai_sci.agent.aider_history.file import choose_session, read_history, session_list
from ai_sci.agent.aider_history.first_places import at_first_places
from ai_sci.agent.aider_history.idea import recognise_idea
from ai_sci.agent.aider_history.playing import Playback, playback_of
from ai_sci.agent.aider_history.turns import HistoryTurn
