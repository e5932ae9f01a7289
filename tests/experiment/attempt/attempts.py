"""Runs small Python programs as attempts, in the sandbox and without one, and looks whether they are really over."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.process import ProcessIdentity, ProcessResult, ProcessSpec, run_process
from ai_sci.experiment.base.errors import ConfigError
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.sandbox.base import Sandbox
from ai_sci.experiment.sandbox.find import find_sandbox
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed

PYTHON = Path(sys.executable)
ROOTS = tuple({Path(sys.prefix), Path(sys.base_prefix), PYTHON.resolve().parent.parent})
# A child writes here as long as it lives; `beats` sees whether it still does.
HEARTBEAT = "import time\nwhile True:\n    open('out/beat', 'a').write('x'); time.sleep(0.02)\n"


def sandbox_of(tier: str) -> Sandbox:
    """The sandbox; skips the test where this machine has no bubblewrap that works, and says why."""
    if tier == "none":
        return Unsandboxed()
    try:
        return find_sandbox("bwrap")
    except ConfigError as error:
        pytest.skip(f"bubblewrap does not work here: {error}")


@dataclass
class Attempts:
    """A folder with `out`, the only place to write to, and a way to run code in it."""

    folder: Path
    sandbox: Sandbox
    pieces: list[str] = field(default_factory=list)
    started: list[ProcessIdentity] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def spec(self, code: str, limits: Limits, log: Path | None = None, **env: str) -> ProcessSpec:
        return ProcessSpec(
            argv=[str(PYTHON), "-I", "-S", "-c", textwrap.dedent(code)],
            cwd=self.folder,
            writable=[self.out],
            readable=[self.folder, *ROOTS],
            env={"PATH": os.defpath, "PYTHONFAULTHANDLER": "1", **env},
            limits=limits,
            log=log or self.log,
            sandbox=self.sandbox,
        )

    def run(
        self,
        code: str,
        on_output: Callable[[str], None] | None = None,
        on_start: Callable[[ProcessIdentity], None] | None = None,
        log: Path | None = None,
        **limits: float | int | None,
    ) -> ProcessResult:
        values = {"time": 30.0, **limits}
        spec = self.spec(code, Limits(**values), log)  # pyright: ignore[reportArgumentType]
        # -I ignores PYTHONFAULTHANDLER, which the real experiments have
        spec = replace(spec, argv=[spec.argv[0], "-X", "faulthandler", *spec.argv[1:]])
        return run_process(spec, on_output or self.pieces.append, on_start or self.started.append)

    def beats(self) -> bool:
        """Whether a heartbeat in `out/beat` goes on, looked at for a fifth of a second."""
        beat = self.out / "beat"
        before = beat.stat().st_size if beat.exists() else -1
        time.sleep(0.2)
        return before >= 0 and beat.stat().st_size != before


def make_attempts(folder: Path, tier: str) -> Attempts:
    (folder / "out").mkdir(parents=True)
    return Attempts(folder, sandbox_of(tier))


@contextmanager
def no_hang() -> Iterator[None]:
    """For experiments that take a minute or for ever when nobody ends them; a busy machine takes some seconds."""
    before = time.monotonic()
    yield
    took = time.monotonic() - before
    assert took < 45, f"took {took:.2f} s"


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
