"""What people see of sessions and batches: `show` (text and the JSON contract) and `watch` (a live screen).

Everything here only reads journals.
"""

from ai_sci.agent.views.batch_view import show_batch
from ai_sci.agent.views.session_view import show_session
from ai_sci.agent.views.watch_screen import watch

__all__ = [
    "show_batch",
    "show_session",
    "watch",
]
