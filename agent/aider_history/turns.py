"""An aider chat history as sessions and turns. Any text can be parsed; missing parts are empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from ai_sci.agent.aider_history.pieces import Kind, Piece, is_aiders_own, scan_history
from ai_sci.agent.edits import Scan, part_reasoning, scan_reply

__all__ = ["ApiError", "HistorySession", "HistoryTurn", "TokenReport", "TurnKind", "parse_history"]

_NUMBER = r"([0-9.,]{1,12}[kKM]?)"
_TOKENS = re.compile(
    rf"Tokens: {_NUMBER} sent(?:, {_NUMBER} cache write)?(?:, {_NUMBER} cache hit)?, {_NUMBER} received\."
    r"(?: Cost: \$([0-9.,]{1,12}) message, \$([0-9.,]{1,12}) session\.)?"
)
_ERROR = re.compile(r"(?:litellm|openai)\.(\w*(?:Error|Exception|Timeout))\b:?\s*(.*)")
_STATUS = re.compile(r"Error code: (\d{3})\b|'code': (\d{3})\b|\"code\": ?(\d{3})\b")
_STATUS_OF = {
    "AuthenticationError": 401,
    "BadRequestError": 400,
    "ContextWindowExceededError": 400,
    "InternalServerError": 500,
    "NotFoundError": 404,
    "PermissionDeniedError": 403,
    "RateLimitError": 429,
    "ServiceUnavailableError": 503,
    "Timeout": 408,
}
_MESSAGE = re.compile(r"[\"']message[\"']:\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_LINT_BEGIN = "# Fix any errors below"
_LINT_QUESTION = re.compile(r"Attempt to fix lint errors\?.*")
_LINT_ERROR = re.compile(r"(?:[^\s:]+):(\d+):(?:\d+:)? ([EFCW]\d+ .+)")
_APPLIED = re.compile(r"Applied edit to (.+)")
_REFUSED = re.compile(r"# (\d{1,6}) SEARCH/REPLACE blocks? failed to match!")
_YES = ("y", "yes", "a", "all")


class TurnKind(str, Enum):
    """Who sent the message of a turn."""

    user = "user"
    lint = "lint"  # aider sent the linter's report, with the user's consent
    reflection = "reflection"  # aider sent something else: a refused edit, a file's content, a test's output


@dataclass(frozen=True)
class TokenReport:
    """aider's line on tokens, with rounded counts; costs in USD, None where aider knows no price."""

    sent: int
    received: int
    cost: float | None
    session_cost: float | None


@dataclass(frozen=True)
class ApiError:
    """A failed request: the error's class, its HTTP status if known, and the server's message."""

    name: str
    status: int | None
    message: str


@dataclass(frozen=True)
class HistoryTurn:
    """A message from the user or from aider itself, and the reply to it. `tools` are aider's own lines after it."""

    number: int  # in its session, from 1
    kind: TurnKind
    user: str
    reply: str = ""
    reasoning: str = ""
    tools: tuple[str, ...] = ()
    is_cut: bool = False  # the file ends inside the reply

    @property
    def scan(self) -> Scan:
        """The blocks and code fences of the reply."""
        return scan_reply(self.reply)

    @property
    def blocks(self) -> int:
        """SEARCH/REPLACE blocks in the reply."""
        return len(self.scan.blocks)

    @property
    def applied(self) -> list[str]:
        """The files that aider says it edited."""
        return [found[1] for line in self.tools if (found := _APPLIED.match(line))]

    @property
    def refused(self) -> int:
        """Number of blocks that aider could not apply; one for each report of a malformed reply without a count."""
        counts = [int(found[1]) for line in self.tools if (found := _REFUSED.match(line))]
        return sum(counts) or sum(line.startswith("The LLM did not conform") for line in self.tools)

    @property
    def usage(self) -> TokenReport | None:
        """aider's last line on tokens."""
        found = next((found for line in reversed(self.tools) if (found := _TOKENS.match(line))), None)
        if found is None:
            return None
        cost, session_cost = (_price(found[group]) for group in (5, 6))
        return TokenReport(_count(found[1]), _count(found[4]), cost, session_cost)

    @property
    def error(self) -> ApiError | None:
        """The last error of the request; a retry may still have brought a reply."""
        found = next((found for line in reversed(self.tools) if (found := _ERROR.match(line))), None)
        if found is None:
            return None
        codes = _STATUS.search(found[2])
        status = int(next(filter(None, codes.groups()))) if codes else _STATUS_OF.get(found[1])
        said = _MESSAGE.search(found[2])
        return ApiError(found[1], status, said[1][1:-1] if said else found[2][:300].strip())

    @property
    def has_failed(self) -> bool:
        """Whether there is no reply."""
        return not self.reply

    @property
    def lint(self) -> list[str]:
        """The linter's errors after this turn's edits, such as `F821 undefined name 'F'`."""
        return [found[2].strip() for line in self.tools if (found := _LINT_ERROR.match(line))]


@dataclass(frozen=True)
class HistorySession:
    """The part between two headers. `started` is "" for a part before the first header."""

    number: int  # in the file, from 1
    started: str
    turns: tuple[HistoryTurn, ...]
    notes: tuple[str, ...] = ()  # aider's lines before the first turn
    ends_on: Kind | None = None  # kind of its last piece that is not blank

    @property
    def replies(self) -> list[HistoryTurn]:
        """The turns that have a reply."""
        return [turn for turn in self.turns if turn.reply]

    @property
    def edits(self) -> int:
        """Number of blocks in the replies or, in another edit format, of files that aider edited."""
        return sum(turn.blocks or len(turn.applied) for turn in self.turns)

    @property
    def first_message(self) -> str:
        """The first user message that is not a command to aider such as `/add`."""
        texts = [turn.user for turn in self.turns if turn.kind is TurnKind.user]
        return next((text for text in texts if text.strip() and not text.lstrip().startswith(("/", "!"))), "")


def parse_history(text: str) -> list[HistorySession]:
    """The sessions of a history; none when it is blank. Never raises."""
    sessions: list[HistorySession] = []
    for started, pieces in _by_session(scan_history(text)):
        sessions.append(_Reader(pieces).session(len(sessions) + 1, started))
    return sessions


def _by_session(pieces: list[Piece]) -> Iterator[tuple[str, list[Piece]]]:
    started, current = "", []
    for piece in pieces:
        if piece.kind is not Kind.header:
            current.append(piece)
            continue
        if started or any(not piece.is_blank for piece in current):
            yield started, current
        started, current = piece.text.strip() or "?", []
    if started or any(not piece.is_blank for piece in current):
        yield started, current


@dataclass
class _Draft:
    kind: TurnKind
    user: str
    reply: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)  # since the reply
    early_tools: list[str] = field(default_factory=list)  # before the reply: failed tries
    is_cut: bool = False


class _Reader:
    """Builds the turns of one session from its pieces."""

    def __init__(self, pieces: list[Piece]) -> None:
        self._drafts: list[_Draft] = []
        self._notes: list[str] = []
        self._pieces = [piece for piece in pieces if not piece.is_blank]
        self._ends = pieces[-1].raw[-2:] if pieces else ""
        for piece in self._pieces:
            match piece.kind:
                case Kind.user:
                    self._drafts.append(_Draft(TurnKind.user, piece.text.strip("\n")))
                case Kind.tool:
                    self._tool(piece)
                case _:
                    self._text(piece)

    def _tool(self, piece: Piece) -> None:
        if not self._drafts:
            self._notes += piece.lines
            return
        self._drafts[-1].tools += piece.lines

    def _text(self, piece: Piece) -> None:
        if not self._drafts:
            self._drafts.append(_Draft(TurnKind.user, ""))
        draft = self._drafts[-1]
        if draft.reply and not any(map(is_aiders_own, draft.tools)):
            # No line of aider's comes between, so these were quotations in the reply.
            draft.reply += [f"> {line}  \n" for line in draft.tools]
            draft.tools = []
        elif draft.reply:
            draft = _reflection(draft.tools)
            self._drafts.append(draft)
        else:
            draft.early_tools, draft.tools = draft.tools, []
        draft.reply.append(piece.raw)
        # aider writes a reply together with the blank line below it.
        draft.is_cut = piece is self._pieces[-1] and self._ends != "\n\n"

    def session(self, number: int, started: str) -> HistorySession:
        turns = []
        for count, draft in enumerate(self._drafts, 1):
            parted = part_reasoning("".join(draft.reply))
            tools = tuple(draft.early_tools + draft.tools)
            turns.append(
                HistoryTurn(count, draft.kind, draft.user, parted.text.strip(), parted.reasoning, tools, draft.is_cut)
            )
        ends_on = self._pieces[-1].kind if self._pieces else None
        return HistorySession(number, started, tuple(turns), tuple(self._notes), ends_on)


def _reflection(tools: list[str]) -> _Draft:
    """The message that aider sent by itself, rebuilt from what it printed for the user."""
    asked = next((i for i, line in enumerate(tools) if (_LINT_QUESTION.fullmatch(line) and _is_yes(line))), None)
    begin = next((i for i, line in enumerate(tools) if line.startswith(_LINT_BEGIN)), None)
    if asked is not None and begin is not None and begin < asked:
        return _Draft(TurnKind.lint, "\n".join(tools[begin:asked]).strip("\n"))
    begin = next((i for i, line in enumerate(tools) if _REFUSED.match(line)), 0)
    return _Draft(TurnKind.reflection, "\n".join(tools[begin:]).strip("\n"))


def _is_yes(line: str) -> bool:
    return line.rsplit(" ", 1)[-1].lower() in _YES


def _count(text: str) -> int:
    """`13k` → 13000. Not a number → 0."""
    scale = {"k": 1_000, "K": 1_000, "M": 1_000_000}.get(text[-1], 1)
    number = _price(text.rstrip("kKM"))
    return round(number * scale) if number is not None else 0


def _price(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", "").rstrip("."))
    except ValueError:
        return None
