"""The journal, the only source of truth, and the two pure functions over it: state and conversation.

Nothing here writes anything but the journal.
"""

from ai_sci.agent.journal.conversation import Message, prompt_hash, wire_messages
from ai_sci.agent.journal.events import (
    EVENT_TYPES,
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    Branched,
    CallFailed,
    CallStarted,
    CompletionAccepted,
    CompletionDoubted,
    ConversationRebuilt,
    EditApplied,
    Event,
    OutcomeCommitted,
    PhaseGivenUp,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    Resumed,
    ResumeReplayed,
    RunClosed,
    SandboxFound,
    SessionEnded,
    SessionStarted,
    Told,
)
from ai_sci.agent.journal.journal import (
    Entry,
    Journal,
    JournalError,
    NewerJournal,
    Record,
    Records,
    encode,
    parse,
    read_journal,
)
from ai_sci.agent.journal.prompts import authorship, render
from ai_sci.agent.journal.spent import REPLAYED, Spent
from ai_sci.agent.journal.state import Phase, RunRecord, State, Status, advance, fold, forgets_window
from ai_sci.agent.journal.tail import Tail
