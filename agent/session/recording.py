"""A recorded session, read from its journal: the requests, the replies and the outcome of each reply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ai_sci.agent.journal import (
    AttemptFinished,
    BaselineMeasured,
    BaselineStarted,
    Branched,
    CallFailed,
    CallStarted,
    ConversationRebuilt,
    EditApplied,
    Entry,
    Event,
    JournalError,
    Message,
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
    authorship,
    forgets_window,
    read_journal,
    wire_messages,
)
from ai_sci.agent.session.session import JOURNAL
from ai_sci.experiment.base import ConfigError

# Events outside the conversation, which may occur between a request and its reply.
_ASIDE = (
    BaselineStarted,
    Branched,
    CallFailed,
    CallStarted,
    PromptDiffered,
    ReplayCompared,
    Resumed,
    ResumeReplayed,
    SandboxFound,
    SessionEnded,
)

Position = tuple[int, int, int]
EditEvent = EditApplied | ReplyRejected
Outcome = BaselineMeasured | AttemptFinished | PlotsFinished | RunClosed | PhaseGivenUp


@dataclass
class RecordedTurn:
    """The outcome of one reply; turn 0 precedes the first. Lost attempts are omitted, as they were repeated."""

    edits: list[EditEvent] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """The journal in `folder`; `entries` begins with SessionStarted."""

    folder: Path
    entries: list[Entry]

    @property
    def started(self) -> SessionStarted:
        """The first event."""
        event = self.entries[0].event
        assert isinstance(event, SessionStarted)  # load_recording refuses anything else
        return event

    @cached_property
    def events(self) -> list[Event]:
        """The events of all entries."""
        return [entry.event for entry in self.entries]

    @cached_property
    def replies(self) -> list[Replied]:
        """The replies, in order."""
        return [event for event in self.events if isinstance(event, Replied)]

    @cached_property
    def requests(self) -> list[int]:
        """For each request, the number of entries before it; the last may have no reply."""
        counts = [index for index, event in enumerate(self.events) if isinstance(event, Replied)]
        if self._waits_for_reply():
            counts.append(len(self.events))
        return counts

    def prefix(self, turn: int) -> list[Entry]:
        """The entries that led to the request of `turn`, counted from 1, without its failed tries."""
        end = self.requests[turn - 1]
        while isinstance(self.events[end - 1], _ASIDE):
            end -= 1
        return self.entries[:end]

    def messages(self, turn: int) -> list[Message]:
        """The request of `turn`, counted from 1."""
        return wire_messages(self.events[: self.requests[turn - 1]])

    def turns(self) -> list[RecordedTurn]:
        """The outcome of each reply, preceded by everything before the first."""
        turns = [RecordedTurn()]
        for event in self.events:
            if isinstance(event, Replied):
                turns.append(RecordedTurn())
            elif isinstance(event, EditEvent):
                turns[-1].edits.append(event)
            elif isinstance(event, Outcome) and not (isinstance(event, AttemptFinished) and event.verdict == "lost"):
                turns[-1].outcomes.append(event)
        return turns

    @cached_property
    def resumes(self) -> list[tuple[Position, ResumeReplayed]]:
        """Where a resume changed something the conversation depends on, and the event to replay there."""
        found: list[tuple[Position, ResumeReplayed]] = []
        now = self.started
        model, max_runs, window = (now.model, now.api_base), now.max_runs, now.context_window
        for index, event in enumerate(self.events):
            if isinstance(event, ResumeReplayed):
                found.append((position_of(self.events[:index]), event))
            if not isinstance(event, (Resumed, Branched)):
                continue
            before = (model, max_runs, window)
            other_model = isinstance(event, Branched) or forgets_window(event, *model, window)
            model, max_runs, window = (event.model, event.api_base), event.max_runs, event.context_window
            if other_model or before != (model, max_runs, window):
                found.append((position_of(self.events[:index]), ResumeReplayed(max_runs, window, other_model)))
        return found

    @cached_property
    def other_author(self) -> str:
        """Who wrote its prompts, such as "ai-sci 0.1.0"; empty when that was this version with the prompts of today."""
        ours = authorship()
        for event in self.events:
            if not isinstance(event, (SessionStarted, Branched, Resumed)):
                continue
            version = event.version or self.started.version
            if version != ours["version"]:
                return f"ai-sci {version}"
            if event.prompts != ours["prompts"]:
                return f"ai-sci {version} with other prompt files"
        return ""

    def refusal(self, turn: int) -> str:
        """Why the request of `turn` (counted from 1) was too long for the server at first; empty when it was not."""
        start = self.requests[turn - 2] if turn > 1 else 0
        for event in self.events[start : self.requests[turn - 1]]:
            if isinstance(event, ConversationRebuilt) and event.learned_window is not None:
                return event.reason
        return ""

    def _waits_for_reply(self) -> bool:
        last = next(event for event in reversed(self.events) if not isinstance(event, _ASIDE))
        return isinstance(last, ConversationRebuilt) or (isinstance(last, Told) and last.prompt != "task")


def position_of(events: Iterable[Event]) -> Position:
    """The position in a conversation: messages from each side, and rebuilds."""
    counts = Counter(type(event) for event in events)
    return counts[Told], counts[Replied], counts[ConversationRebuilt]


def load_recording(folder: Path) -> Recording:
    """Reads the session in `folder`, which may be running. Raises ConfigError when there is none."""
    journal = folder / JOURNAL
    if not journal.is_file():
        raise ConfigError(f"{folder} is not a session: it holds no {JOURNAL}.")
    try:
        entries = read_journal(journal)
    except JournalError as error:
        raise ConfigError(str(error)) from error
    if not entries or not isinstance(entries[0].event, SessionStarted):
        raise ConfigError(f"{journal} does not begin with a session.")
    return Recording(folder.resolve(), entries)
