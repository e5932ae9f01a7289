"""Short sessions with failures in them, each a different road through the loop, to be killed anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.end_to_end.templates import EXPERIMENT, NOTES, PLOTS, block, good_session


@dataclass(frozen=True)
class Story:
    """A template and what its model says. `wire`: the replies come from a server instead of from files."""

    name: str
    replies: list[str]
    toml: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    wire: bool = False
    measured: bool = False  # the baseline is measured by this very session, not taken from the cache


GOOD = good_session()[0]
TYPING = "Run 1: 20 steps.\n\n" + block("STEPS = 10", "STEPS = twenty")
CRASH = block("STEPS = twenty", "STEPS = 20\nraise ValueError('twenty')")
REPAIR = block("STEPS = 20\nraise ValueError('twenty')", "STEPS = 20")
BAD_PLOTS = block(
    'labels = {"run_0": "baseline"}', "raise KeyError('no labels')\nlabels = {'run_0': 'baseline'}", "plot.py"
)

# Several files of code in one edit, so that a kill can fall between two of them.
TWO_FILES = EXPERIMENT.replace("RATE = 0.1\n", "from rate import RATE\n")
BOTH = block("STEPS = 10", "STEPS = 20") + block("RATE = 0.1", "RATE = 0.2", "rate.py") + NOTES
NEW_FILE = block("", "WARMUP = 1", "warmup.py").replace("SEARCH\n\n", "SEARCH\n")

LARGE = "\nwith open(os.path.join(out_dir, 'weights.bin'), 'wb') as file:\n    file.write(bytes(1500000))"
DAEMON = "\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(60)\n    os._exit(0)"
SPOILED = "\nopen('settings.json', 'w').write('{}')\nopen('run_0/final_info.json', 'w').write('{}')"

STORIES = [
    Story(
        "stumbles",
        [
            "I plan to train longer.",
            block("STEPS = 999", "STEPS = 20"),
            TYPING,
            CRASH,
            REPAIR,
            "Done.\n\nALL_COMPLETED\n",
            BAD_PLOTS,
            block("raise KeyError('no labels')", "", "plot.py"),
            block("STEPS = 20", "STEPS = 30"),
            NOTES,
        ],
        toml="[experiment]\nmax_failures = 5\n",
    ),
    Story(
        "a closed run",
        [
            block("STEPS = 10", "STEPS = 20" + LARGE),
            block("STEPS = 20", "STEPS = 1 // 0"),
            block("STEPS = 1 // 0", "STEPS = 5"),
            block("STEPS = 20", "STEPS = 30"),
            block("STEPS = 30", "STEPS = 20"),
            "ALL_COMPLETED",
            PLOTS.replace('"run_1": "more steps"', '"run_1": "more", "run_3": "most"'),
            NOTES,
        ],
        toml='[experiment]\nmax_failures = 2\n[checks]\nrules = ["steps >= 10"]\n',
    ),
    Story(
        "smoke and full",
        [
            block("STEPS = 10", "STEPS = 20\nif os.environ.get('AI_SCI_SMOKE'):\n    raise ValueError('smoke')"),
            block("    raise ValueError('smoke')", "    STEPS = 1\nelse:\n    raise ValueError('full')"),
            block("    raise ValueError('full')", "    STEPS = 40"),
            "ALL_COMPLETED",
            PLOTS,
            NOTES,
        ],
        toml="[smoke]\ntime = 20\n",
        measured=True,
    ),
    Story(
        "too slow",
        [
            block("STEPS = 10", "STEPS = 20\nimport time\ntime.sleep(30)"),
            block("time.sleep(30)", "STEPS = 21"),
            block("STEPS = 21", "STEPS = 1 // 0"),
            "I stop here.\n\nALL_COMPLETED",
            PLOTS,
            NOTES,
        ],
        options=("--timeout", "1s"),
    ),
    Story(
        "given up",
        ["ALL_COMPLETED", GOOD, "ALL_COMPLETED", BAD_PLOTS, "Hm.", "Hm.", block("a", "b", "notes.txt")],
        toml="[experiment]\nmax_failures = 2\n",
    ),
    Story(
        "two files",
        [
            BOTH,
            block("RATE = 0.2", "RATE = '0.2'", "rate.py"),
            NEW_FILE,
            block("RATE = '0.2'", "RATE = '0.3'", "rate.py"),
            "ALL_COMPLETED",
            PLOTS,
            block("Run 1 trained longer.", "Run 1 trained longer and faster.", "notes.txt"),
        ],
        toml="[experiment]\nmax_failures = 3\n"
        'editable = ["experiment.py", "rate.py", "warmup.py", "plot.py", "notes.txt"]\n',
        files={"experiment_py": TWO_FILES, "rate_py": "RATE = 0.1\n"},
        measured=True,
    ),
    Story(
        "no sandbox",
        [
            block("STEPS = 10", "STEPS = json.load(open('settings.json'))['steps']" + DAEMON + SPOILED),
            block(SPOILED.strip("\n"), "raise ValueError('alone')"),
            block("raise ValueError('alone')", "print('better')"),
            "ALL_COMPLETED",
            PLOTS,
            NOTES,
        ],
        toml="[settings]\nsteps = 30\n",
        options=("--sandbox", "none", "--allow-unsandboxed"),
    ),
    Story("over the wire", [TYPING, CRASH, REPAIR, "ALL_COMPLETED", PLOTS, NOTES], wire=True),
]
