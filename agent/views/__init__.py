"""What people see of sessions and batches: `show` (text and the JSON contract) and `watch` (a live screen).

Everything here only reads journals.
"""

from ai_sci.agent.views.show import show_batch, show_session
from ai_sci.agent.views.terminal import watch
