"""What a case of the gauntlet says: the fault, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.servers.loopback import Fault, LoopbackServer, Replies

if TYPE_CHECKING:
    from tests.gauntlet.stage import Seen, Stage

Hook = Callable[["Stage"], None]

RESUMABLE = ("budget_exhausted", "model_unavailable", "interrupted")


@dataclass(frozen=True)
class Ends:
    """How a command ends. `status=None`: it is refused before anything is opened or changed."""

    status: str | None = "completed"
    accepted: int = 2  # runs accepted in the whole session
    verdicts: tuple[str, ...] = ()  # all that went wrong since the command began, in order
    code: int | None = None  # None: as the status and the accepted runs ask for

    @property
    def exit_code(self) -> int:
        if self.code is not None:
            return self.code
        if self.status is None:
            return 2
        if self.status in RESUMABLE:
            return 3
        return 0 if self.accepted else 1


@dataclass(frozen=True)
class Case:
    """One fault. Left alone, a case is a session of two accepted runs, plots and notes, and nothing goes wrong.

    `verdicts` are, in the order of the journal: the kind of each failed try of a call (`rate_limited`, `cut`, …), the
    verdict of each rejected reply (`edit_refused`, …), and the verdict of each attempt or plot that is not `ok`.
    `says` is a regular expression that the line which names the fault must match: the session's reason, the one line
    on stderr, or the reason of an attempt, of a rejected reply or of a failed try.
    After the command has ended, `ai-sci resume` must end as `resumed` says; None means that there is nothing to resume
    (the session has ended and stays as it is) or, where no session was opened, that nothing is resumed.
    """

    name: str
    replies: Replies = ()  # () is a good session; see tests/gauntlet/story.py
    verdicts: tuple[str, ...] = ()
    status: str | None = "completed"
    accepted: int = 2
    code: int | None = None
    says: str = ""
    resumed: Ends | None = None
    quick: bool = False  # stands for its class of fault in `make test`

    # A model behind HTTP; without a server the replies are played by `scripted:FOLDER`.
    server: type[LoopbackServer] | None = None
    faults: Sequence[Fault | None] = ()  # one a request, None is a good answer
    refused_requests: int = 0  # for their form

    # The machine. `prepare` runs before the command, `act` while it runs, `mend` between it and resume.
    prepare: Hook | None = None
    act: Hook | None = None
    mend: Hook | None = None
    args: tuple[str, ...] = ()
    resume_args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    check: Callable[[Seen], str] | None = None  # of what the command left; says what is wrong, "" when all is well
    needs: Callable[[], str] | None = None  # says why the case cannot be played on this machine, "" when it can
    finished: bool = True  # a completed session has plots and notes
    seconds: float = 120.0  # how long a command may take, on a machine that has other work too

    @property
    def ends(self) -> Ends:
        return Ends(self.status, self.accepted, self.verdicts, self.code)

    def __str__(self) -> str:
        return self.name
