"""What a person sees while a session runs: a live panel in a terminal, plain lines on a pipe."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

from ai_sci.agent.journal import AttemptFinished, CallFailed, Event, Phase, Replied, State
from ai_sci.agent.session.logbook import plain_story
from ai_sci.experiment.base import format_duration
from ai_sci.keys import KeyMask, mask_keys

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
_REFRESH = 0.25  # seconds


class Screen(Protocol):
    """Where a session shows its progress. `limit` is in seconds."""

    def note(self, text: str) -> None:
        """A message for the user."""

    def doing(self, what: str, limit: float | None) -> None:
        """A step that starts now, and its time limit."""

    def event(self, event: Event, state: State) -> None:
        """A journalled event and the state after it."""

    def delta(self, text: str) -> None:
        """A piece of the model's reply."""

    def output(self, text: str) -> None:
        """A chunk of the experiment's output."""

    def close(self) -> None:
        """The end; nothing more is shown."""


def open_screen() -> Screen:
    """A live panel on a terminal, plain lines elsewhere."""
    return TerminalScreen() if sys.stderr.isatty() else PlainScreen()


def _clean(line: str) -> str:
    return _ANSI.sub("", line).rstrip()


def _last_update(line: str) -> str:
    """What a terminal would show after the line's carriage returns."""
    updates = [part for part in line.split("\r") if part.strip()]
    return _clean(updates[-1]) if updates else ""


class _Lines:
    """Cuts chunks of output into whole lines."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """The whole lines that this chunk completes."""
        *lines, self._rest = (self._rest + text).split("\n")
        # A program that never ends its line must not fill our memory.
        self._rest = self._rest[-4096:]
        return [line for line in map(_last_update, lines) if line]

    @property
    def unfinished(self) -> str:
        """The line so far."""
        return _last_update(self._rest)


class PlainScreen:
    """One line on stderr for each thing that happens; the experiment's own lines are indented."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def note(self, text: str) -> None:
        """Prints a message."""
        self._print(text)

    def doing(self, what: str, limit: float | None) -> None:
        """Announces a step."""
        self._print(f"… {what}{f', at most {format_duration(limit)}' if limit else ''}")

    def event(self, event: Event, state: State) -> None:
        """Shows a journalled event."""
        line = plain_story(event)
        if line is not None:
            self._print(line.replace("\n\n", ": "))

    def delta(self, text: str) -> None:
        """Shows nothing: replies appear when complete."""

    def output(self, text: str) -> None:
        """Shows the experiment's output."""
        for line in self._lines.feed(text):
            self._print(f"    {line[:500]}")

    def close(self) -> None:
        """Nothing to close."""

    def _print(self, text: str) -> None:
        # The reader of stderr may be gone (a dead tee, a closed pipe); that must not stop the session.
        with contextlib.suppress(OSError):
            print(mask_keys(text), file=sys.stderr, flush=True)


class LogScreen(PlainScreen):
    """The same lines as INFO messages of the logger `ai_sci`, silent unless the program enables it."""

    def _print(self, text: str) -> None:
        logging.getLogger("ai_sci").info("%s", mask_keys(text))


class TerminalScreen:
    """Scrolling history above a live panel with the session's current state."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console(stderr=True, highlight=False)
        self._lines = _Lines()
        self._reply, self._keys = "", KeyMask()
        self._what, self._since, self._limit = "starting", time.monotonic(), None
        self._last_output = ""
        self._verdicts: list[str] = []
        self._title, self._standing = "ai-sci", ""
        self._guard = threading.Lock()  # rich refreshes from a thread of its own
        self._live = Live(
            get_renderable=self._panel, console=self._console, refresh_per_second=1 / _REFRESH, transient=True
        )
        self._live.start()

    def note(self, text: str) -> None:
        """Prints a message."""
        self._say(text)

    def doing(self, what: str, limit: float | None) -> None:
        """Announces a step."""
        with self._guard:
            self._what, self._since, self._limit = what, time.monotonic(), limit
            self._last_output, self._reply, self._keys = "", "", KeyMask()

    def event(self, event: Event, state: State) -> None:
        """Shows a journalled event."""
        with self._guard:
            self._title, self._standing = _title(state), _standing(state)
            if isinstance(event, Replied):
                self._reply = ""
            if isinstance(event, AttemptFinished):
                self._verdicts = [*self._verdicts[-4:], f"run {event.run} {event.attempt_kind}: {event.verdict}"]
        line = plain_story(event)
        if line is not None:
            style = "yellow" if isinstance(event, CallFailed) else None
            self._say(line.replace("\n\n", ": "), style)

    def delta(self, text: str) -> None:
        """Shows a piece of a reply."""
        with self._guard:
            self._reply = (self._reply + self._keys.feed(text))[-400:]

    def output(self, text: str) -> None:
        """Shows the experiment's output."""
        lines = self._lines.feed(text)
        with self._guard:
            self._last_output = self._lines.unfinished or (lines[-1] if lines else self._last_output)
        for line in lines:
            self._say(f"    {line[:500]}", "dim")

    def close(self) -> None:
        """Ends the display."""
        with contextlib.suppress(OSError):  # the terminal may be closed
            self._live.stop()

    def _say(self, text: str, style: str | None = None) -> None:
        with contextlib.suppress(OSError):
            self._console.print(mask_keys(text), style=style, markup=False, soft_wrap=True)

    def _panel(self) -> RenderableType:
        from rich.panel import Panel
        from rich.text import Text

        with self._guard:
            elapsed = format_duration(time.monotonic() - self._since)
            limit = f" of {format_duration(self._limit)}" if self._limit else ""
            lines = [f"{self._what}  {elapsed}{limit}"]
            if self._reply:
                lines.append("model: " + _clean(self._reply.replace("\n", " "))[-120:])
            elif self._last_output:
                lines.append(self._last_output[:160])
            if self._standing:
                lines.append(self._standing)
            if self._verdicts:
                lines.append("   ".join(self._verdicts))
            title = self._title
        return Panel(Text("\n".join(lines), overflow="ellipsis"), title=title, title_align="left")


# Computed per event, not per refresh: rich draws in another thread while the state changes.


def _title(state: State) -> str:
    if state.started is None:
        return "ai-sci"
    run = f"run {min(state.run, state.max_runs)} of {state.max_runs}" if state.phase is Phase.runs else str(state.phase)
    return f"{state.started.session}: {run}"


def _standing(state: State) -> str:
    spent = state.spent
    cost = f"${spent.cost:.4f}" + (" + unpriced calls" if spent.unpriced_calls else "")
    tokens = f"{spent.prompt_tokens} tokens sent, {spent.completion_tokens} received"
    return f"{spent.calls} calls, {tokens}, {cost}   accepted {len(state.accepted)}   {state.failures_in_words}"
