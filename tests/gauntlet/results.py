"""Faults of what an experiment leaves: the result file, and the folder that it lies in."""

from __future__ import annotations

from tests.gauntlet.case import Case
from tests.gauntlet.checks import history_says
from tests.gauntlet.experiment import UNSANDBOXED
from tests.gauntlet.story import faulty_result, faulty_run

_RESULT = "result = out_dir / 'final_info.json'\n"
_GONE = _RESULT + "result.unlink()\n"


def _bad(name: str, code: str, says: str, verdict: str = "bad_result", quick: bool = False) -> Case:
    return Case(name, faulty_result(_RESULT + code), (verdict,), says=says, quick=quick)


CASES = [
    _bad(
        "result missing",
        "result.unlink()",
        r"ended without writing final_info\.json into run_2 \(it holds only curves\.json, curves\.npz\)",
        verdict="no_result",
    ),
    _bad("result empty", "result.write_text('')", r"final_info\.json is empty"),
    _bad(
        "result truncated",
        "result.write_text(result.read_text()[:60])",
        r"final_info\.json is not (?:valid|whole)? ?JSON",
    ),
    _bad("result in UTF-16", "result.write_text(result.read_text(), 'utf-16')", r"final_info\.json is not UTF-8 text"),
    _bad(
        "result with NaN",
        "result.write_text(json.dumps({'waves': {'means': {'test_r2': float('nan'), 'output_std': 1, 'steps': 5}}}))",
        r"holds NaN as 'test_r2'; a metric has to be a finite number",
        quick=True,
    ),
    _bad(
        "result with Infinity",
        "result.write_text(json.dumps({'test_r2': float('inf'), 'output_std': 1, 'steps': 5}))",
        r"holds Infinity as 'test_r2'; a metric has to be a finite number",
    ),
    _bad(
        "result with a number beyond every float",
        "result.write_text('{\"test_r2\": 1' + '0' * 400 + '}')",
        r"holds an integer beyond 1\.8e308 as 'test_r2'",
    ),
    _bad(
        "result nested in the wrong way",
        "result.write_text(json.dumps({'waves': {'run': {'means': {'test_r2': 0.9}}}}))",
        r"final_info\.json holds no number at a place where metrics are read",
    ),
    _bad("result nested 100,000 deep", "result.write_text('[' * 100_000 + ']' * 100_000)", r"nests .* too deeply"),
    _bad(
        "result of 100 MB",
        "result.write_text(json.dumps({'test_r2': 0.9, 'log': 'x' * 10**8}))",
        r"final_info\.json is 100\.0 MB; at most 10 MB are read",
    ),
    _bad("result is a list", "result.write_text('[0.9, 0.8]')", r"final_info\.json .*a list"),
    _bad(
        "result holds text for numbers",
        "result.write_text(json.dumps({'waves': {'means': {'test_r2': '0.9', 'steps': '5'}}}))",
        r"final_info\.json .*(?:text|no number)",
    ),
    _bad("result is a folder", "result.unlink()\nresult.mkdir()", r"final_info\.json is a folder"),
    _bad(
        "result is a symlink",
        "result.unlink()\nresult.symlink_to('/etc/hostname')",
        r"final_info\.json is a symbolic link; it has to be a regular file",
    ),
    _bad("result is a FIFO", "result.unlink()\nos.mkfifo(result)", r"final_info\.json is a pipe"),
    _bad(
        "result is a hard link",
        "os.link(result, out_dir / 'other.json')",
        r"final_info\.json is a hard link to another file",
    ),
    _bad(
        "result that breaks a rule of the template",
        "result.write_text(json.dumps({'waves': {'means': {'test_r2': -3.0, 'output_std': 1.0, 'steps': 5}}}))",
        r"the template's checks do not hold: test_r2 is -3, must be > 0",
        verdict="degenerate",
    ),
    Case(
        "the output folder is removed",
        faulty_result("import shutil\nshutil.rmtree(out_dir, ignore_errors=True)"),
        ("no_result",),
        says=r"ended without writing final_info\.json into run_2 \(it is empty\)",
    ),
    Case(
        "the output folder is removed, without a sandbox",
        faulty_result("import shutil\nshutil.rmtree(out_dir)"),
        ("no_result",),
        says=r"the folder run_2 is gone or not a folder",
        args=UNSANDBOXED,
    ),
    Case(
        "the output folder becomes a symlink, without a sandbox",
        faulty_result("import shutil\nshutil.rmtree(out_dir)\nout_dir.symlink_to('run_1')"),
        ("no_result",),
        says=r"the folder run_2 is gone or not a folder",
        args=UNSANDBOXED,
    ),
    Case(
        "takes all rights from its own output",
        faulty_result("os.chmod(out_dir / 'final_info.json', 0)\nos.chmod(out_dir, 0)"),
        accepted=3,
    ),
    Case(
        "writes the next run's folder ahead",
        faulty_result("import shutil\nshutil.copytree(out_dir, 'run_3')"),
        ("crashed",),
        says=r"OSError: .*Read-only file system: 'run_3'",
    ),
    Case(
        "writes the next run's folder ahead, without a sandbox",
        faulty_result("import shutil\nshutil.copytree(out_dir, 'run_3')"),
        ("tampered",),
        says=r"the experiment changed run_3, which only ai-sci may do",
        args=UNSANDBOXED,
        quick=True,
    ),
    Case(
        "improves the result of another run, without a sandbox",
        faulty_result("Path('run_1/final_info.json').write_text('{\"test_r2\": 1.0}')"),
        ("tampered",),
        says=r"the experiment changed run_1/final_info\.json, which only ai-sci may do; it was put back",
        args=UNSANDBOXED,
    ),
    # What lies in the folder of a run was written by that attempt, which begins with an empty one: no clock is asked.
    Case("result from 1970", faulty_result("os.utime(out_dir / 'final_info.json', (0, 0))"), accepted=3),
    Case(
        "result from the year 2100",
        faulty_result("os.utime(out_dir / 'final_info.json', (4102444800, 4102444800))"),
        accepted=3,
    ),
    Case(
        "copies the result of run 1",
        faulty_run("import shutil, sys\nshutil.copy('run_1/final_info.json', out_dir)\nsys.exit(0)"),
        accepted=3,
        check=history_says("exactly the numbers of run 1"),
    ),
]
