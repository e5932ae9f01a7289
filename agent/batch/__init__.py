"""Many ideas at once: one process forks a child per session and allocates slots and shared budgets.

A batch has its own journal, next to those of its sessions.
"""

from ai_sci.agent.batch.events import BATCH_EVENT_TYPES, BatchEvent
from ai_sci.agent.batch.opening import BatchStopped, add_ideas, batch_exit_code, folder_of, resume_batch, run_batch
from ai_sci.agent.batch.plan import AT_ONCE, BatchOptions
from ai_sci.agent.batch.state import (
    BATCH_JOURNAL,
    BatchState,
    IdeaRecord,
    advance_batch,
    fold_batch,
    is_batch,
    read_batch,
)
