"""`make bench`: what ai-sci costs beside its experiments, what it sends, against a driver on aider's `Coder`, and how
long a batch takes, against one worker for each GPU.

python -m tests.bench                     measures on the template `tiny`
python -m tests.bench --session FOLDER    also compares the tokens of a session that was run before
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import start, watching
from tests.end_to_end.command import ai_sci_cold, environment
from tests.end_to_end.templates import block, make_template, write_script

TURNS = 12


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", type=Path, action="append", default=[])
    sessions = parser.parse_args().session
    print(f"help          {help_seconds():.2f} s wall (bound 0.15)")
    own, children = overhead()
    print(f"overhead      {own:.3f} s of its own CPU a turn (bound 0.03)")
    print(f"              {children:.3f} s of its children: git, sandbox and the no-op experiment itself")
    short, long = (resume_cpu(events) for events in (20, 10_000))
    print(f"resume        {long:.2f} s CPU after the imports, with 10,000 events in the journal (bound 1.00)")
    print(f"              {short:.2f} s with 20")
    start.main()
    runs, writing, checking = report_seconds()
    print(f"report        {writing:.2f} s wall for a session of {runs} runs (bound 5.00), {checking:.2f} s to check it")
    print(f"watch         {watching.frame_seconds():.3f} s CPU for a frame of 200 sessions, one a second")
    with tempfile.TemporaryDirectory() as folder:
        done = ai_sci_cold("run", "--template", "tiny", "--idea", first_idea(), cwd=Path(folder))
        if done.code != 0:
            sys.exit(done.err)
        for session in [done.session, *sessions]:
            compare_tokens(session)
    # A process of its own: the side that has one worker for each GPU forks, and here are threads by now.
    subprocess.run([sys.executable, "-m", "tests.bench.many_ideas"], check=True)


def help_seconds() -> float:
    """Median of seven."""
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "ai_sci", "--help"], check=True, stdout=subprocess.DEVNULL, env=environment()
        )
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def overhead() -> tuple[float, float]:
    """CPU seconds a turn, of this process and of its children, after start-up.

    A scripted session of twelve runs whose experiment does nothing is driven in this process; the difference to one of
    two runs leaves the start-up out.
    """
    _session_cpu(1)  # imports and probes
    few, many = _session_cpu(2), _session_cpu(2 + TURNS)
    return (many[0] - few[0]) / TURNS, (many[1] - few[1]) / TURNS


NOOP = """\
import os, sys
out_dir = sys.argv[1].removeprefix("--out_dir=")
os.makedirs(out_dir, exist_ok=True)
VALUE = 0
with open(out_dir + "/final_info.json", "w") as file:
    file.write('{"value": %d}' % VALUE)
"""


def _session_cpu(runs: int) -> tuple[float, float]:
    from ai_sci.agent.commands.start import RunOptions, run
    from ai_sci.agent.session.screen import PlainScreen

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_template(folder / "noop", experiment_py=NOOP)
        (folder / "noop" / "plot.py").unlink()
        replies = [block(f"VALUE = {n}", f"VALUE = {n + 1}") for n in range(runs)] + [
            block("", "done", "notes.txt").replace("\n\n=", "\n=")
        ]
        options = RunOptions(
            idea="more_steps",
            template=str(folder / "noop"),
            model=write_script(folder / "script", replies),
            runs_dir=folder / "runs",
            max_runs=runs,
        )
        kept = os.environ.get("AI_SCI_CACHE")
        os.environ["AI_SCI_CACHE"] = str(folder / "cache")  # a cached baseline would make the sessions unlike
        before = _cpu(resource.RUSAGE_SELF), _cpu(resource.RUSAGE_CHILDREN)
        with open(os.devnull, "w") as null:
            stderr, sys.stderr = sys.stderr, null
            try:
                run(options, PlainScreen())
            finally:
                sys.stderr = stderr
                os.environ.pop("AI_SCI_CACHE")
                if kept is not None:
                    os.environ["AI_SCI_CACHE"] = kept
        return _cpu(resource.RUSAGE_SELF) - before[0], _cpu(resource.RUSAGE_CHILDREN) - before[1]


def resume_cpu(events: int) -> float:
    """CPU seconds, those of git and the sandbox's probe included, until the model would be asked; the best of three."""
    from tests.bench.long_session import make_long_session
    from tests.crash.launcher import open_launcher

    with tempfile.TemporaryDirectory() as name, open_launcher() as launcher:
        session = make_long_session(Path(name), events)
        args, environment = ("resume", session), {"AI_SCI_CACHE": f"{name}/cache"}
        return min(launcher.run(args, Path(name), environment).cpu for _ in range(3))


def report_seconds() -> tuple[int, float, float]:
    """How many runs a long session has, and the wall seconds of `ai-sci report` and of its `--check`; best of three."""
    from tests.bench.long_session import make_long_session

    with tempfile.TemporaryDirectory() as name:
        session = make_long_session(Path(name), 5_260)
        runs = sum('"event":"run_closed"' in line.replace(" ", "") for line in (session / "journal.jsonl").open())
        times: dict[str, list[float]] = {"write": [], "check": []}
        for what, args in (("write", []), ("check", ["--check", session / "report.html"])):
            for _ in range(3):
                started = time.perf_counter()
                done = ai_sci_cold("report", session, *args, cwd=Path(name))
                times[what].append(time.perf_counter() - started)
                if done.code != 0:
                    sys.exit(done.err + done.out)
        return runs, min(times["write"]), min(times["check"])


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def first_idea() -> str:
    from ai_sci.experiment.template.ideas import load_ideas
    from ai_sci.experiment.template.template import load_template

    return load_ideas(load_template("tiny").folder / "ideas.json")[0].name


def compare_tokens(session: Path) -> None:
    from ai_sci.agent.journal.conversation import wire_messages
    from ai_sci.agent.journal.events import Replied, Told
    from ai_sci.agent.journal.journal import read_journal
    from tests.bench.aider_peer import drive
    from tests.bench.tokens import count_sent

    events = [entry.event for entry in read_journal(session / "journal.jsonl")]
    ours = [
        [{"role": message.role, "content": message.content} for message in wire_messages(events[:index])]
        for index, event in enumerate(events)
        if isinstance(event, Replied)
    ]
    idea = events[0].idea  # type: ignore[union-attr]
    goal = f"Your goal is to implement the following idea: {idea['Title']}.\n{idea['Experiment']}"
    prompts = [f"{goal}\nPlan your runs, then make the edits for run 1."]
    waiting: list[str] = []
    for event in events:
        if isinstance(event, Told) and event.prompt not in ("task", "code"):
            waiting.append(event.text.split("\nplot.py\n```")[0])  # aider has the file in the chat anyway
        if isinstance(event, Replied) and waiting:
            prompts.append("\n\n".join(waiting))
            waiting = []
    replies = [event.text for event in events if isinstance(event, Replied)]
    names = ["experiment.py", "plot.py", "notes.txt"]
    files = {name: _first_version(session, name) for name in names}
    theirs = drive(files, prompts, replies)
    one, other = count_sent(ours), count_sent(theirs)
    shares = [f"{sent.share_after_first:.0%} ({sent.share_of_all:.0%} of all)" for sent in (one, other)]
    ratio = f"{one.tokens / other.tokens:.2f} (bound 0.50)"
    print(f"tokens sent   {idea['Name']}: {one.tokens} in {one.requests} requests, aider {other.tokens}, ratio {ratio}")
    print(f"              of those after the first request {shares[0]} repeat the one before, aider {shares[1]}")
    ratio = f"{one.weighted / other.weighted:.2f} (bound 0.25)"
    print(f"              a repeated prefix at a tenth: {one.weighted:.0f}, aider {other.weighted:.0f}, ratio {ratio}")


def _first_version(session: Path, name: str) -> str:
    root = subprocess.run(
        ["git", "rev-list", "--max-parents=0", "HEAD"], cwd=session, capture_output=True, text=True
    ).stdout.strip()
    shown = subprocess.run(["git", "show", f"{root}:{name}"], cwd=session, capture_output=True, text=True)
    return shown.stdout if shown.returncode == 0 else ""


if __name__ == "__main__":
    main()
