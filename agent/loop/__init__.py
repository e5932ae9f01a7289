"""The loop: the last event in the journal says which step is next.

Steps with the model, steps with the experiment, and the budgets that bound both.
"""

from ai_sci.agent.loop.editor import Editor, ModelEditor, open_editor
from ai_sci.agent.loop.loop import drive, step
from ai_sci.agent.loop.session_context import SessionContext

__all__ = [
    "Editor",
    "ModelEditor",
    "SessionContext",
    "drive",
    "open_editor",
    "step",
]
