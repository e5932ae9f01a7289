"""No sandbox, as accepted with `--allow-unsandboxed`."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ai_sci.experiment.sandbox.base import TAG_VARIABLE, UNSANDBOXED, Launch


@dataclass(frozen=True)
class Unsandboxed:
    """Only a clean environment and a reaper that kills the process tree."""

    tier: str = "none"
    backend: str = "no sandbox"

    @property
    def controls(self) -> Mapping[str, str]:
        """Only the environment is enforced; the rest is absent or left to the watchdog."""
        return UNSANDBOXED

    def wrap(
        self,
        argv: Sequence[str],
        cwd: Path,
        writable: Sequence[Path],
        readable: Sequence[Path],
        env: Mapping[str, str],
        hidden: Sequence[Path] = (),
        beside: Mapping[str, Path] = MappingProxyType({}),
    ) -> Launch:
        """See `Sandbox.wrap`; `writable`, `readable`, `hidden` and `beside` have no effect."""
        scratch = Path(tempfile.mkdtemp(prefix="ai-sci-"))
        tag = secrets.token_hex(16)
        reaper = Path(__file__).with_name("reaper.py")
        return Launch(
            argv=[sys.executable, "-I", "-S", str(reaper), str(os.getpid()), str(cwd), *argv],
            env={**env, "HOME": str(scratch), "TMPDIR": str(scratch), TAG_VARIABLE: tag},
            pid_namespace=False,
            scratch=scratch,
            tag=tag,
        )
