"""Makes docs/images/watch.svg: what `ai-sci watch` shows of a batch with the tiny template, in about a minute.

    make images

Sessions, experiments and numbers are real, with scripted replies; nothing is drawn by hand.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from ai_sci.agent.journal.events import AttemptStarted  # noqa: E402
from ai_sci.agent.journal.journal import read_journal  # noqa: E402
from ai_sci.agent.session.session import JOURNAL  # noqa: E402
from ai_sci.agent.views.follow import Watch  # noqa: E402
from ai_sci.agent.views.frame import frame  # noqa: E402
from ai_sci.experiment.base.cache import cache_root  # noqa: E402
from tests.end_to_end.batches import HandMadeBatch  # noqa: E402
from tests.end_to_end.templates import block, write_script  # noqa: E402

IMAGE = ROOT / "docs" / "images" / "watch.svg"
SCRIPTED = ROOT / "templates" / "tiny" / "scripted"
COLUMNS, ROWS = 124, 14


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        batch = HandMadeBatch(Path(place, "night"), "tiny", str(cache_root()), slots=2, cost=5.0, time=8 * 3600.0)
        batch.add("fourier_features", "weight_decay", "strong_decay", "momentum", "cosine_schedule", "layer_norm")
        with batch.driven():
            for idea in ("fourier_features", "weight_decay"):
                batch.run(idea)
            batch.run("momentum", write_script(Path(place, "momentum"), ["I would add momentum."] * 8))
            process = batch.begin("strong_decay", write_script(Path(place, "slow"), slow_replies()))
            try:
                wait_for_second_run(batch.folder / "strong_decay" / JOURNAL)
                time.sleep(3)
                draw(batch.folder)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()
    print(IMAGE)


def slow_replies() -> list[str]:
    """Those of weight_decay up to the second run, whose full attempt takes its time."""
    replies = [path.read_text() for path in sorted((SCRIPTED / "weight_decay").glob("*.md"))[:3]]
    wait = 'DECAY = 1e-5\n__import__("time").sleep(0 if os.environ.get("AI_SCI_SMOKE") else 60)'
    return [
        *replies[:2],
        block("DECAY = 1e-3  # strength of the L2 penalty on W1 and W2; 1.0 drives every weight to zero", wait),
    ]


def wait_for_second_run(journal: Path) -> None:
    for _ in range(600):
        events = [entry.event for entry in read_journal(journal)] if journal.is_file() else []
        if (
            events
            and isinstance(events[-1], AttemptStarted)
            and events[-1].run == 2
            and events[-1].attempt_kind == "full"
        ):
            return
        time.sleep(0.1)
    raise SystemExit(f"no second run in {journal}: {json.dumps([type(one).__name__ for one in events[-3:]])}")


def draw(folder: Path) -> None:
    watched = Watch(folder)
    watched.look()
    console = Console(record=True, width=COLUMNS, height=ROWS, force_terminal=True, file=io.StringIO())
    console.print(frame(watched.picture(time.time()), COLUMNS, ROWS))
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    svg = console.export_svg(title="ai-sci watch runs/night")
    IMAGE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))  # the reader's own, fetched nowhere


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
