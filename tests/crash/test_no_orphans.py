"""A harness that is killed takes its experiment along, at whatever instant, and nobody has to resume for that."""

from __future__ import annotations

import pytest

from tests.crash.deaths import Death
from tests.crash.trials import survivors
from tests.end_to_end.templates import EXPERIMENT, PLOT, good_session, make_template, write_script

SLEEP = "import time\ntime.sleep(60)\n"
UNSANDBOXED = ("--sandbox", "none", "--allow-unsandboxed")


@pytest.mark.parametrize("options", [(), UNSANDBOXED], ids=["bwrap", "no sandbox"])
@pytest.mark.parametrize("what", ["baseline", "attempt", "plots"])
@pytest.mark.parametrize("gate", [1, 2], ids=["the sandbox may start", "the program may start"])
def test_killed_when_a_gate_was_just_opened(launcher, tmp_path, what, gate, options):
    """At the first one the sandbox is not set up yet, and cannot know that its parent died."""
    slow = {
        "baseline": {"experiment_py": SLEEP + EXPERIMENT},
        "attempt": {
            "experiment_py": EXPERIMENT.replace(
                "RATE = 0.1", "RATE = 0.1\nif STEPS > 10:\n    " + "time.sleep(60)"
            ).replace("import os", "import os\nimport time")
        },
        "plots": {"plot_py": SLEEP + PLOT},
    }[what]
    before = {"baseline": 0, "attempt": 1, "plots": 2}[what]
    template = make_template(tmp_path / "template", **slow)
    model = write_script(tmp_path / "script", good_session())
    args = ("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model, *options)
    ended = launcher.run(
        args, tmp_path, {"AI_SCI_CACHE": str(tmp_path / "cache")}, Death("gate", 2 * before + gate, "after")
    )
    assert ended.killed, ended.err
    assert survivors(tmp_path) == []
