"""Sessions to report on: one in which much happens, told by words that a page must not obey; and a batch of two."""

from __future__ import annotations

import json
from pathlib import Path

from ai_sci.agent.batch.events import BATCH_EVENT_TYPES, BatchStarted, IdeaAdded, SessionLaunched, SessionLeft
from ai_sci.agent.commands import start
from ai_sci.agent.journal.events import SessionStarted
from ai_sci.agent.journal.journal import Records, read_journal
from ai_sci.agent.session.screen import PlainScreen
from tests.end_to_end.templates import IDEA, NOTES, PLOTS, block, make_template, write_script

HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
HOSTILE_METRIC = "<img src=x onerror=document.title='pwned'>"

EXPERIMENT = """\
import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out_dir = parser.parse_args().out_dir
os.makedirs(out_dir, exist_ok=True)
STEPS = 10
NOTE = "a plain log"


def train(steps):
    x, losses = 5.0, []
    for step in range(steps):
        x -= 0.2 * x
        losses.append(x * x)
    return losses


losses = train(STEPS)
print(NOTE, flush=True)
print(f"loss {losses[-1]:.4f}", flush=True)
means = {"loss": losses[-1], "l0": 40 - STEPS, "explained_variance": 1 - losses[-1] / 25, "METRIC": STEPS}
stderrs = {"loss": losses[-1] / 50}
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump({"toy": {"means": means, "stderrs": stderrs}}, file)
with open(os.path.join(out_dir, "curves.json"), "w") as file:
    json.dump({"step": list(range(STEPS)), "loss": losses}, file)
""".replace("METRIC", HOSTILE_METRIC.replace("'", "\\'").replace('"', '\\"'))

TOML = '[experiment]\nmetric = "loss"\ndirection = "lower"\n'


def tell_session(folder: Path, name: str = "s", steps: int = 20) -> Path:
    """A refused edit, a crash, an accepted run with a hostile log, another one, plots, notes. Returns the session."""
    idea = {**IDEA, "Title": f"More Steps {HOSTILE}", "Experiment": f"Train for longer. {HOSTILE}"}
    template = folder / "template"
    if not template.exists():
        files = {"experiment_py": EXPERIMENT, "plot_py": "open('loss.svg', 'w').write('<svg/>')\nlabels = {}\n"}
        make_template(template, TOML, ideas_json=json.dumps([idea]), **files)
    noise = "print(\"</pre><script>document.title='pwned'</script>\")"
    replies = [
        f"I plan {HOSTILE}\n\n- Run 1: {steps} steps\n\n" + block("STEPS = 11", "STEPS = 20"),
        block("STEPS = 10", f"STEPS = {steps}\nraise ValueError('{HOSTILE_METRIC.replace(chr(39), '')}')"),
        block(f"raise ValueError('{HOSTILE_METRIC.replace(chr(39), '')}')", noise),
        "Run 2.\n\n" + block(f"STEPS = {steps}", f"STEPS = {steps + 10}"),
        "ALL_COMPLETED",
        PLOTS.replace('labels = {"run_0": "baseline"}', "labels = {}"),
        NOTES,
    ]
    options = start.RunOptions(
        idea="more_steps",
        template=str(template),
        model=write_script(folder / f"script-{name}", replies),
        runs_dir=folder / "runs",
        session=name,
    )
    return start.run(options, PlainScreen())[0]


def make_batch(folder: Path, *sessions: Path) -> Path:
    """A batch above sessions that lie in `folder`, and an idea that waits; its journal is written by hand."""
    clock = [read_journal(sessions[0] / "journal.jsonl")[0].at - 1.0]
    records = Records(folder / "batch.jsonl", BATCH_EVENT_TYPES, lambda: clock[0])
    records.append(BatchStarted(folder.name, {}, "local", 2, [], {}, "0"))
    for session in sessions:
        started = read_journal(session / "journal.jsonl")[0].event
        assert isinstance(started, SessionStarted)
        records.append(IdeaAdded(session.name, started.idea, started.template))
        records.append(SessionLaunched(session.name, 1, 1, "an earlier boot"))
    records.append(IdeaAdded("waits", {**IDEA, "Title": "An Idea That Waits"}, "/somewhere/template"))
    for session in sessions:
        clock[0] = read_journal(session / "journal.jsonl")[-1].at
        records.append(SessionLeft(session.name, "completed", "2 runs accepted", 0))
    records.close()
    return folder
