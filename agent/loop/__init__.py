"""The session loop: the last event in the journal determines the next step, and the budgets bound each step."""

from ai_sci.agent.loop.editor import Editor, ModelEditor, open_editor
from ai_sci.agent.loop.loop import drive, step
from ai_sci.agent.loop.session_context import SessionContext
