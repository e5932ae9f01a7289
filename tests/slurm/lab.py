"""Sessions on a cluster: a template whose experiment takes as long as it is told, and what became of its attempts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_sci.agent.journal.events import AttemptFinished, AttemptStarted, Event
from ai_sci.agent.journal.journal import read_journal
from tests.end_to_end.command import ROOT, Done, argv, environment
from tests.end_to_end.templates import NOTES, PLOTS, block, make_template, write_script
from tests.slurm.cluster import Cluster, wait_for

EXPERIMENT = """\
import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out_dir = parser.parse_args().out_dir
STEPS = 10
begin = time.time()
print("begins", flush=True)
while time.time() < begin + json.load(open("settings.json"))["seconds"]:
    with open(os.path.join(out_dir, "beat"), "a") as beat:
        beat.write("x")
    time.sleep(0.05)
baseline = json.load(open("run_0/final_info.json")) if out_dir != "run_0" else {}
up = os.path.abspath("../../../../../..")  # the session itself, beyond the execution's own folder
seen = [sorted(os.listdir(folder)) for folder in (up, os.path.dirname(up))] if out_dir != "run_0" else []
secrets = sorted(name for name in os.environ if name.endswith("_API_KEY"))
with open(os.path.join(out_dir, "clock.json"), "w") as file:
    clock = {"begin": begin, "end": time.time(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "keys": secrets}
    json.dump({**clock, "baseline": baseline, "seen": seen}, file)
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump({"toy": {"means": {"loss": 1 / STEPS, "steps": STEPS}}}, file)
"""
LIMITS = '[limits]\ntime = "40s"\nmemory = "400M"\ncpus = 1\n[settings]\nseconds = 1.0\n'
GOOD = ["Run 1: 20 steps.\n\n" + block("STEPS = 10", "STEPS = 20"), "Done.\n\nALL_COMPLETED\n", PLOTS, NOTES]


@dataclass
class Lab:
    """`drivers` are the processes of ai-sci that a test has started."""

    cluster: Cluster
    folder: Path
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {**self.cluster.environment, "AI_SCI_CACHE": str(self.folder / "cache"), "PYTHONPATH": str(ROOT)}

    def template(self, toml: str = LIMITS, experiment: str = EXPERIMENT, baseline: bool = True) -> Path:
        template = make_template(self.folder / "template", toml, experiment_py=experiment)
        if baseline:
            (template / "run_0").mkdir()
            info = {"toy": {"means": {"loss": 0.1, "steps": 10}}}
            (template / "run_0" / "final_info.json").write_text(json.dumps(info))
        return template

    def options(self, name: str, *more: str | Path, replies: list[str] = GOOD, seconds: float = 1.0) -> list[str]:
        if not (self.folder / "template").exists():
            self.template()
        model = write_script(self.folder / f"script_{name}", replies)
        fixed = ["run", "--template", self.folder / "template", "--idea", "more_steps", "--model", model]
        fixed += ["--session", name, "--engine", "slurm", "--set", f"seconds={seconds}"]
        return list(map(str, [*fixed, *more]))

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen[str]:
        number = len(self.drivers)
        self.drivers.append(
            subprocess.Popen(
                argv(*args),
                cwd=self.folder,
                env=environment(**{**self.env, **env}),
                stdin=subprocess.DEVNULL,
                stdout=(self.folder / f"out{number}").open("w"),
                stderr=(self.folder / f"err{number}").open("w"),
                start_new_session=True,
                text=True,
            )
        )
        return self.drivers[-1]

    def end(self, driver: subprocess.Popen[str], timeout: float = 120) -> Done:
        code = driver.wait(timeout=timeout)
        number = self.drivers.index(driver)
        return Done(code, *((self.folder / f"{name}{number}").read_text() for name in ("out", "err")))

    def run(self, *args: str | Path, timeout: float = 120, **env: str) -> Done:
        return self.end(self.start(*args, **env), timeout)

    def stop_drivers(self) -> None:
        for driver in self.drivers:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
                driver.wait()

    # --- what became of it --------------------------------------------------------------------------------------------

    def session(self, name: str) -> Path:
        return self.folder / "runs" / name

    def events(self, name: str) -> list[Event]:
        return self.events_in(self.session(name))

    def events_in(self, session: Path) -> list[Event]:
        journal = session / "journal.jsonl"
        return [entry.event for entry in read_journal(journal)] if journal.exists() else []

    def started(self, name: str) -> list[AttemptStarted]:
        return [event for event in self.events(name) if isinstance(event, AttemptStarted)]

    def verdicts(self, name: str) -> list[str]:
        return [event.verdict for event in self.finished(name)]

    def finished(self, name: str) -> list[AttemptFinished]:
        return [event for event in self.events(name) if isinstance(event, AttemptFinished)]

    def clock(self, name: str) -> dict[str, Any]:
        return json.loads((self.session(name) / "run_1" / "clock.json").read_text())

    def executions(self, name: str) -> list[Path]:
        """Of jobs that have begun, in whatever folder; one that was told to stop has removed its own."""
        return sorted((self.session(name) / "attempts").glob("*/work/*/execution-*/begun.json"))

    def beats(self, name: str) -> list[Path]:
        return list((self.session(name) / "attempts").glob("*/work/*/execution-*/session/run_1/beat"))

    def wait_until_it_runs(self, name: str, seconds: float = 60) -> str:
        """Waits for an experiment at work; returns its job."""
        wait_for(lambda: self.started(name) and self.beats(name), seconds, f"{name} does not run: {self.said()}")
        return self.started(name)[-1].job

    def said(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("err*")))
