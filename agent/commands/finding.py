"""One line of what `ai-sci doctor` reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`state` is "ok", "note" or "fix"."""

    state: str
    what: str

    @property
    def blocking(self) -> bool:
        """Whether no session can run until this is fixed."""
        return self.state == "fix"

    def __str__(self) -> str:
        return f"[{self.state:^4}] {self.what}"
