"""A session that ran before, as its journal tells it: what was asked, what was replied, what came of each reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from agent.conversation import Message, wire_messages
from agent.events import (
    AttemptFinished,
    BaselineMeasured,
    Branched,
    CallFailed,
    EditApplied,
    Event,
    PhaseGivenUp,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    Resumed,
    RunClosed,
    SandboxFound,
    SessionEnded,
    SessionStarted,
    Told,
)
from agent.journal import Entry, JournalError, read_journal
from agent.session import JOURNAL
from experiment.errors import ConfigError

# What says how a session fared and not what it did: it stands between a request and its reply.
_ASIDE = (Branched, CallFailed, PromptDiffered, ReplayCompared, Resumed, SandboxFound, SessionEnded)

Edit = EditApplied | ReplyRejected
Outcome = BaselineMeasured | AttemptFinished | PlotsFinished | RunClosed | PhaseGivenUp


@dataclass
class Turn:
    """What came of one reply; turn 0 is what was before the first one. What was lost is left out: it was repeated."""

    edits: list[Edit] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """The journal in `folder`; `entries` begins with SessionStarted."""

    folder: Path
    entries: list[Entry]

    @property
    def started(self) -> SessionStarted:
        event = self.entries[0].event
        assert isinstance(event, SessionStarted)  # load_recording refuses anything else
        return event

    @cached_property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.entries]

    @cached_property
    def replies(self) -> list[Replied]:
        return [event for event in self.events if isinstance(event, Replied)]

    @cached_property
    def requests(self) -> list[int]:
        """For each request, how many entries there were when it was made; the last may have no reply."""
        counts = [index for index, event in enumerate(self.events) if isinstance(event, Replied)]
        if self._waits_for_reply():
            counts.append(len(self.events))
        return counts

    def prefix(self, turn: int) -> list[Entry]:
        """The entries that led to the request of `turn`, counted from 1, without what went wrong while it was made."""
        end = self.requests[turn - 1]
        while isinstance(self.events[end - 1], _ASIDE):
            end -= 1
        return self.entries[:end]

    def messages(self, turn: int) -> list[Message]:
        """The request of `turn`, counted from 1."""
        return wire_messages(self.events[: self.requests[turn - 1]])

    def turns(self) -> list[Turn]:
        """What came of each reply; the first is what was before all of them."""
        turns = [Turn()]
        for event in self.events:
            if isinstance(event, Replied):
                turns.append(Turn())
            elif isinstance(event, Edit):
                turns[-1].edits.append(event)
            elif isinstance(event, Outcome) and not (isinstance(event, AttemptFinished) and event.verdict == "lost"):
                turns[-1].outcomes.append(event)
        return turns

    def max_runs(self, told: int, replied: int) -> int:
        """How many runs were allowed after so many texts of either side: a resume may have allowed more."""
        allowed = self.started.max_runs
        for event in self.events:
            if isinstance(event, Told):
                told -= 1
            elif isinstance(event, Replied):
                replied -= 1
            elif isinstance(event, (Resumed, Branched)):
                allowed = event.max_runs
            if told < 0 or replied < 0:
                break
        return allowed

    def _waits_for_reply(self) -> bool:
        last = next(event for event in reversed(self.events) if not isinstance(event, _ASIDE))
        return isinstance(last, Told)


def load_recording(folder: Path) -> Recording:
    """Reads the session in `folder`, which may be running at this moment. Raises ConfigError when it is none."""
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
