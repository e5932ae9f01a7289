"""An aider chat history as sessions and turns. Any text can be parsed; missing parts are empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from ai_sci.agent.aider_history.parts import join_parts
from ai_sci.agent.aider_history.pieces import Kind, Piece, scan_history
from ai_sci.agent.aider_history.tool_lines import (
    ApiError,
    LintError,
    TokenReport,
    applied_beside,
    applied_to,
    errors_of,
    is_aiders_own,
    is_interrupted,
    is_next_try,
    lint_errors_of,
    lint_reflection,
    refusal_begin,
    refused_in,
    tries_begin,
    usage_of,
)
from ai_sci.agent.edits import Scan, part_reasoning, scan_reply

__all__ = ["ApiError", "HistorySession", "HistoryTurn", "TokenReport", "TurnKind", "parse_history"]

_COMMAND = re.compile(r"\s*[/!]")  # to aider; what `/ask TEXT` asks the model is a message of its own, TEXT


class TurnKind(str, Enum):
    """Who sent the message of a turn."""

    user = "user"
    lint = "lint"  # aider sent the linter's report, with the user's consent
    reflection = "reflection"  # aider sent something else: a refused edit, a file's content, a test's output


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
    is_interrupted: bool = False  # somebody pressed Ctrl-C during the reply

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
        return applied_to(self.tools)

    @property
    def refused(self) -> int:
        """Number of blocks that aider could not apply; one for each report of a malformed reply without a count."""
        return refused_in(self.tools)

    @property
    def applied_beside(self) -> int:
        """Number of blocks that aider applied although it refused others of this reply."""
        return applied_beside(self.tools)

    @property
    def has_edited(self) -> bool:
        """Whether aider says that it applied an edit."""
        return bool(self.applied or self.applied_beside)

    @property
    def usage(self) -> TokenReport | None:
        """aider's last line on tokens."""
        return usage_of(self.tools)

    @property
    def errors(self) -> list[ApiError]:
        """The errors of all tries of the request; one of them may still have brought a reply."""
        return errors_of(self.tools)

    @property
    def error(self) -> ApiError | None:
        """The last error of the request."""
        return self.errors[-1] if self.errors else None

    @property
    def has_failed(self) -> bool:
        """Whether there is no reply."""
        return not self.reply

    @property
    def lint_errors(self) -> list[LintError]:
        """The linter's errors after this turn's edits."""
        return lint_errors_of(self.tools)

    @property
    def lint(self) -> list[str]:
        """Their texts, such as `F821 undefined name 'F'`."""
        return [error.text for error in self.lint_errors]


@dataclass(frozen=True)
class HistorySession:
    """The part between two headers. `started` is "" for a part before the first header."""

    number: int  # in the file, from 1
    started: str
    turns: tuple[HistoryTurn, ...]
    notes: tuple[str, ...] = ()  # aider's lines before the first turn
    commands: int = 0  # messages such as `/add FILE`, which no model is sent
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
        """The first message of the user's to the model."""
        texts = [turn.user for turn in self.turns if turn.kind is TurnKind.user]
        return next((text for text in texts if text.strip() and not _COMMAND.match(text)), "")


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
        elif draft.reply and not is_next_try(draft.tools):
            draft = self._reflection(draft)
            self._drafts.append(draft)
        else:  # the first try that brings text, or one that takes the place of a try that broke off
            draft.reply = []
            draft.early_tools, draft.tools = draft.early_tools + draft.tools, []
        draft.reply.append(piece.raw)
        # aider writes a reply together with the blank line below it.
        draft.is_cut = piece is self._pieces[-1] and self._ends != "\n\n"

    def _reflection(self, before: _Draft) -> _Draft:
        """The message that aider sent by itself, rebuilt from what it printed for the user."""
        begin = tries_begin(before.tools)
        tools, tries = before.tools[:begin], before.tools[begin:]
        before.tools = tools
        if places := lint_reflection(tools):
            draft = _Draft(TurnKind.lint, "\n".join(tools[slice(*places)]).strip("\n"))
        else:
            begin = refusal_begin(tools) or 0
            draft = _Draft(TurnKind.reflection, "\n".join(tools[begin:]).strip("\n"))
        draft.early_tools = tries
        return draft

    def session(self, number: int, started: str) -> HistorySession:
        turns: list[HistoryTurn] = []
        commands = 0
        for draft in self._drafts:
            parted = part_reasoning("".join(draft.reply))
            reply = join_parts(parted.text.strip())
            tools = tuple(draft.early_tools + draft.tools)
            if not reply and not errors_of(tools) and _COMMAND.match(draft.user):
                commands += 1
                continue
            turns.append(
                HistoryTurn(
                    len(turns) + 1,
                    draft.kind,
                    draft.user,
                    reply,
                    parted.reasoning,
                    tools,
                    draft.is_cut,
                    bool(reply) and is_interrupted(tools),
                )
            )
        ends_on = self._pieces[-1].kind if self._pieces else None
        return HistorySession(number, started, tuple(turns), tuple(self._notes), commands, ends_on)
