"""Unmodified code that cannot run on this machine: who is told, and what."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ai_sci.experiment.attempt import start_check
from ai_sci.experiment.attempt.baseline import BaselineOutcome, measure_baseline
from ai_sci.experiment.attempt.judging import judge_exit
from ai_sci.experiment.attempt.missing_here import what_is_missing
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan, run_attempt
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.template.template import Smoke, Template, load_template
from tests.experiment.attempt.attempts import PYTHON, ROOTS, sandbox_of

ENVIRONMENT = Environment(PYTHON, "test", ROOTS)

WORKS = (
    "import json, sys\nout = sys.argv[1].split('=')[1]\njson.dump({'loss': 1}, open(out + '/final_info.json', 'w'))\n"
)
FILE_WAYS = "copy it into the template's folder, or to $AI_SCI_DATA in a [prepare] step of template.toml"
PACKAGE_WAYS = "name it in the template's requirements.txt, pass --python PATH"


class Lab:
    """A template with its own run_0, in a folder below /tmp, which the sandbox hides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "templates" / "mine"
        self.plans: list[AttemptPlan] = []
        self.outcomes: list[AttemptOutcome] = []
        self.told = ""
        (self.place / "run_0").mkdir(parents=True)
        (self.place / "run_0" / "final_info.json").write_text(json.dumps({"loss": 2}))

    def write(self, name: str, text: str = "x") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def tell(self, text: str) -> None:
        self.told += text

    def execute(self, plan: AttemptPlan) -> AttemptOutcome:
        self.plans.append(plan)
        self.outcomes.append(run_attempt(plan))
        return self.outcomes[-1]

    def open(self, code: str, tier: str = "bwrap", try_start: bool = True, **more: object) -> BaselineOutcome:
        """A new session on the template with this code before what works."""
        (self.place / "experiment.py").write_text(code + "\n" + WORKS)
        template: Template = replace(load_template(str(self.place)), **more)  # pyright: ignore[reportArgumentType]
        self.session = self.folder / "runs" / f"s{len(list(self.folder.glob('runs/*')))}"
        self.session.mkdir(parents=True)
        for path in template.files():
            (self.session / path).write_bytes((self.place / path).read_bytes())
        return measure_baseline(
            *(self.session, template, ENVIRONMENT, None, sandbox_of(tier), self.execute, self.tell),
            limits=Limits(time=30),
            try_start=try_start,
        )


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Lab(tmp_path)


def test_code_that_starts_is_started_once(lab: Lab) -> None:
    began = lab.open("")
    assert (began.verdict, began.source, began.metrics) == (Verdict.ok, "template", {"loss": 2})
    [plan] = lab.plans
    assert (plan.kind, plan.time_limit) == ("full", start_check.LONGEST)
    assert json.loads((lab.session / "run_0" / "final_info.json").read_text()) == {"loss": 2}
    assert not (lab.session / "run_1").exists() and not (plan.folder / "out").exists() and plan.log.is_file()
    assert lab.open("").seconds == 0 and len(lab.plans) == 1
    lab.open("# changed")
    assert len(lab.plans) == 2


def test_a_smoke_attempt_where_there_is_one(lab: Lab) -> None:
    code = "import os\nassert os.environ['AI_SCI_SMOKE'] == '1'"
    assert lab.open(code, smoke=Smoke(time=9)).verdict is Verdict.ok
    assert [(plan.kind, plan.time_limit) for plan in lab.plans] == [("smoke", 9)]


def test_what_runs_on_is_ended_and_has_started(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_check, "LONGEST", 1.0)
    assert lab.open("import time\ntime.sleep(60)").verdict is Verdict.ok
    assert lab.outcomes[0].verdict is Verdict.timed_out


def test_a_replay_starts_nothing(lab: Lab) -> None:
    assert lab.open("import nosuch_package", try_start=False).verdict is Verdict.ok and not lab.plans


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('no data')",
        "raise FileExistsError('run_1')",
        "import json\njson.loads('{')",
        "from json import nosuch",
        "raise SystemExit(3)",
        "raise MemoryError",
        "import os\nos.kill(os.getpid(), 11)",
        "raise ValueError('no column /data/x.npy in experiment.py or run_0')",
        # It found another way, which has an error of its own.
        "try:\n    open('cache.bin')\nexcept OSError:\n    raise ValueError('shapes differ')",
        "try:\n    import nosuch_package\nexcept ImportError:\n    pass\nraise ValueError('shapes differ')",
    ],
)
def test_other_failures_are_for_the_model(lab: Lab, code: str) -> None:
    assert lab.open(code).verdict is Verdict.ok
    assert lab.outcomes[0].verdict in (Verdict.crashed, Verdict.out_of_memory)
    lab.open(code)
    assert len(lab.plans) == 1
    assert lab.told.count("the unmodified code failed here, so runs may fail in the same way: ") == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("open('{folder}/data/x.npy')", "{folder}/data/x.npy exists on this machine, but it is hidden in the sandbox"),
        (
            "import os\nopen(os.path.expanduser('~/data/x.npy'))",
            "{folder}/home/data/x.npy exists on this machine, but it is hidden: an experiment has a home of its own",
        ),
        ("open('~/data/x.npy')", "{folder}/home/data/x.npy exists on this machine, but it is hidden"),
        ("open('../../corpus/x.npy')", "{folder}/corpus/x.npy exists on this machine, but it is hidden in the sandbox"),
        ("open('../../../corpus/x.npy')", "The template's folder has no ../../../corpus/x.npy"),
        (
            "open('.data/x.npy')",
            "{folder}/templates/mine/.data/x.npy exists on this machine, but not where a session looks for it",
        ),
        (
            "import os\nopen(os.path.join(os.path.dirname(os.path.abspath(__file__)), '.data', 'x.npy'))",
            "{folder}/templates/mine/.data/x.npy exists on this machine, but not where a session looks for it",
        ),
        (
            "open('../../data/x.npy').close()\nopen('../../corpus/x.npy')",  # a data folder beside it is seen
            "corpus/x.npy exists on this machine, but",
        ),
        ("open('/nowhere/x.npy')", "/nowhere/x.npy does not exist on this machine"),
        (
            "raise OSError(\"Unable to open file (unable to open file: name = '{folder}/data/x.npy', errno = 2, \"\n"
            "'error message = No such file or directory, flags = 0)')",
            "{folder}/data/x.npy exists on this machine",
        ),
        (
            "try:\n    open('{folder}/data/x.npy')\nexcept OSError as e:\n    raise RuntimeError('no data') from e",
            "{folder}/data/x.npy exists on this machine, but it is hidden in the sandbox",
        ),
        (
            "raise SystemExit('Put the data at {folder}/data.')",
            "{folder}/data exists on this machine, but it is hidden",
        ),
        (
            "import os\nassert os.path.isdir('{folder}/data'), 'the folder {folder}/data is needed'",
            "{folder}/data exists on this machine, but it is hidden in the sandbox",
        ),
        ("import subprocess\nsubprocess.run(['mine-tool'])", "{folder}/bin/mine-tool exists on this machine"),
        (
            "print(\"[rank0]: FileNotFoundError: [Errno 2] No such file or directory: '{folder}/data/x.npy'\")"
            "\nraise SystemExit(1)",
            "{folder}/data/x.npy exists on this machine, but it is hidden in the sandbox",
        ),
        (
            "raise OSError(\"We couldn't connect to 'https://huggingface.co' to load the files, and couldn't \"\n"
            "'find them in the cached files.')",
            "A file that it needs is missing in the sandbox",
        ),
    ],
)
def test_a_missing_file(lab: Lab, monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    for name in ("data/x.npy", "corpus/x.npy", "home/data/x.npy", "templates/mine/.data/x.npy"):
        lab.write(name)
    lab.write("bin/mine-tool", "#!/bin/sh\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{lab.folder}/bin:/usr/bin:/bin")
    found = lab.open(code.format(folder=lab.folder))
    [reason] = found.reasons
    assert (found.verdict, found.metrics, found.source) == (Verdict.crashed, {"loss": 2}, "template")
    assert reason.startswith("the unmodified code does not run here: exit code 1: ")
    assert words.format(folder=lab.folder) in reason and FILE_WAYS in reason and "--sandbox none" in reason
    assert "\n" not in reason
    lab.open(code.format(folder=lab.folder))
    assert len(lab.plans) == 2  # a person may have mended it


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import mine", "{folder}/lib/mine/__init__.py exists on this machine, but it is hidden in the sandbox"),
        ("import mine.deep", "{folder}/lib/mine/__init__.py exists on this machine, but it is hidden in the sandbox"),
        ("import nosuch_package", " has no package nosuch_package"),
        ("import json.nosuch", " has no package json.nosuch"),
        ("import importlib.metadata as m\nm.version('nosuch-package')", " has no package nosuch-package"),
        ("raise ImportError('X requires the Y library but it was not found in your environment')", "lacks a package"),
    ],
)
def test_a_missing_package(lab: Lab, monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    lab.write("lib/mine/__init__.py")
    monkeypatch.setenv("PYTHONPATH", str(lab.folder / "lib"))
    [reason] = lab.open(code).reasons
    assert words.format(folder=lab.folder) in reason and PACKAGE_WAYS in reason


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.makedirs('outputs/2030-01-01')",
        "open('model.pt', 'w')",
        "import os\nos.mkdir('../wandb')",
        "raise RuntimeError('File model.pt cannot be opened.')",
    ],
)
def test_a_write_into_the_current_folder(lab: Lab, code: str) -> None:
    [reason] = lab.open(code).reasons
    assert "only the folder that --out_dir names can be written: write below --out_dir" in reason


def test_without_a_sandbox_nothing_is_hidden(lab: Lab) -> None:
    there = lab.write("data/x.npy")
    assert lab.open(f"open('{there}')", tier="none").verdict is Verdict.ok
    [reason] = lab.open("open('/nowhere/x.npy')", tier="none").reasons
    assert "/nowhere/x.npy does not exist on this machine" in reason and "--sandbox none" not in reason
    lab.write("home/data/x.npy")
    [reason] = lab.open("import os\nopen(os.path.expanduser('~/data/x.npy'))", tier="none").reasons
    assert f"{lab.folder}/home/data/x.npy exists on this machine, but it is hidden" in reason


def test_a_measured_baseline_says_the_same(lab: Lab) -> None:
    there = lab.write("data/x.npy")
    found = lab.open(f"open('{there}')", brings_baseline=False)
    assert found.source == "measured" and f"{there} exists on this machine, but it is hidden" in found.reasons[0]


def test_a_start_that_was_killed_is_repeated(lab: Lab) -> None:
    (lab.folder / "runs" / "s0" / "run_1").mkdir(parents=True)  # as left by a kill, in the session that is resumed
    (lab.folder / "runs" / "s0" / "attempts" / "run_1.0").mkdir(parents=True)
    plans: list[AttemptPlan] = []

    def killed(plan: AttemptPlan) -> AttemptOutcome:
        plans.append(plan)
        raise KeyboardInterrupt

    lab.execute, execute = killed, lab.execute  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        lab.open("")
    lab.execute = execute  # type: ignore[method-assign]
    assert lab.open("").verdict is Verdict.ok and len(lab.plans) == 1
    again = replace(lab.plans[0], session=lab.folder / "runs" / "s0")
    (again.session / "experiment.py").write_text(WORKS)
    assert run_attempt(again).verdict is Verdict.ok


@pytest.mark.parametrize(
    "error",
    [
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a capacity of 8 GiB",
        "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB",
        "torch.OutOfMemoryError: Allocation on device",
        "RuntimeError: CUDA error: out of memory",
        "RuntimeError: MPS backend out of memory (MPS allocated: 8 GB)",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,000 bytes",
        "numba.cuda.cudadrv.driver.CudaAPIError: [2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes.",
        "ResourceExhaustedError: OOM when allocating tensor with shape[9] and type float on /device:GPU:0 by allocator",
    ],
)
def test_memory_of_a_gpu(error: str) -> None:
    told = judge_exit(1, 1.0, 10, False, error, Limits())
    assert told.verdict is Verdict.out_of_memory and told.reason.startswith("ran out of GPU memory")
    assert "limits.memory" not in told.reason and error in told.reason


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 8 TiB",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory",
        "XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 80000000000 bytes.",
        "ResourceExhaustedError: OOM when allocating tensor with shape[9] and type float on /device:CPU:0 by allocator",
    ],
)
def test_memory_of_the_machine(error: str) -> None:
    told = judge_exit(1, 1.0, 10, False, error, Limits())
    assert told.verdict is Verdict.out_of_memory and "GPU memory" not in told.reason
    assert "--memory" in told.reason


def test_a_log_that_is_gone(lab: Lab) -> None:
    lab.open("import nosuch_package")
    lab.plans[0].log.unlink()
    assert what_is_missing(lab.outcomes[0], lab.plans[0], lab.place) is None
