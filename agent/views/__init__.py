"""`show` (text, and JSON as a contract) and `watch` (a live screen) for sessions and batches.

Everything here only reads.
"""

from ai_sci.agent.views.show import show_batch, show_session
from ai_sci.agent.views.terminal import watch
