"""The digest of a failure: what a person would want to read, from whatever the experiment printed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.experiment.base.cleaning import clean_output, last_error_line
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.results.excerpt import MOST, failure_excerpt
from ai_sci.experiment.results.tracebacks import find_tracebacks

FILES = ["experiment.py", "plot.py", "models/net.py"]
CHAINED = """
import json

def inner(text):
    return json.loads(text)

def outer(text):
    try:
        inner(text)
    except ValueError as error:
        raise RuntimeError("could not load\\nthe second line") from error

print("\\x1b[32mstep\\x1b[0m 1")
print("\\rTraining:  62%|██████▏   | 31/50 [00:01<00:00, 30.1it/s, loss=0.3]", end="", flush=True)
outer("{bad")
"""


def output_of(folder: Path, code: str, *argv: str) -> str:
    (folder / "experiment.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *argv, folder / "experiment.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.decode(errors="replace")


def digest(output: str, verdict: Verdict = Verdict.crashed, reason: str = "exit code 1") -> str:
    return failure_excerpt(verdict, reason, output, FILES)


# --- tracebacks -------------------------------------------------------------------------------------------------------


def test_a_chained_traceback_after_a_progress_bar(tmp_path: Path) -> None:
    text = digest(output_of(tmp_path, CHAINED))
    assert text.startswith("Verdict: crashed\nReason: exit code 1\n\nTraceback (most recent call last):\n")
    assert text.count("Traceback (most recent call last):") == 2
    assert 'File "experiment.py", line 5, in inner\n    return json.loads(text)\n  [' in text
    assert re.search(r"\[\d library frames, last: json/decoder.py, line \d+, in raw_decode\]", text)
    assert "The above exception was the direct cause of the following exception:" in text
    assert text.index("JSONDecodeError") < text.index("RuntimeError: could not load\nthe second line")
    assert "Last progress: Training: 62% 31/50 [00:01<00:00, 30.1it/s, loss=0.3]" in text
    assert text.endswith("Last lines of the output:\nstep 1")
    assert str(tmp_path) not in text


def test_a_recursion_is_short(tmp_path: Path) -> None:
    mutual = "def a(n): b(n)\ndef b(n): a(n)\na(1)\n"
    text = digest(output_of(tmp_path, mutual))
    assert "RecursionError: maximum recursion depth exceeded" in text and "more …]" in text
    assert text.count("File ") < 20 and "line 3, in <module>" in text


def test_an_error_deep_in_a_library_shows_some_of_it() -> None:
    frames = "".join(
        f'  File "/v/lib/python3.11/site-packages/torch/m{n}.py", line {n}, in f{n}\n    code{n}()\n' for n in range(9)
    )
    text = digest(f"Traceback (most recent call last):\n{frames}RuntimeError: shapes\n")
    assert "[6 library frames, last: torch/m5.py, line 5, in f5]" in text
    assert 'File "torch/m8.py", line 8, in f8\n    code8()' in text and "/v/lib" not in text


def test_a_file_of_the_same_name_in_a_library_is_not_ours() -> None:
    ours = '  File "/s/models/net.py", line 3, in f\n    g()\n'
    theirs = '  File "/v/lib/python3.10/site-packages/x/experiment.py", line 9, in g\n    h()\n'
    text = digest(f"Traceback (most recent call last):\n{ours}{theirs}ValueError: 3\n")
    assert '  File "models/net.py", line 3, in f\n    g()\n' in text
    assert "  [1 library frame, last: x/experiment.py, line 9, in g]\nValueError: 3" in text


def test_only_the_last_of_unrelated_tracebacks() -> None:
    one = 'Traceback (most recent call last):\n  File "experiment.py", line {n}, in f\nValueError: number {n}\n'
    text = digest(one.format(n=1) + "retrying\n" + one.format(n=2))
    assert "number 2" in text and "number 1" not in text and "retrying" in text


def test_a_distributed_traceback() -> None:
    body = 'Traceback (most recent call last):\n  File "/s/experiment.py", line 4, in f\n    g()\nKeyError: 3'
    text = digest("\n".join(f"[rank0]: {line}" for line in body.splitlines()))
    assert 'File "experiment.py", line 4, in f\n    g()\nKeyError: 3' in text


def test_a_syntax_error_shows_its_line(tmp_path: Path) -> None:
    text = digest(output_of(tmp_path, "x = 1\ndef f(:\n    pass\n"))
    assert "line 2" in text and "def f(:" in text and "SyntaxError" in text


def test_where_a_crash_in_c_happened(tmp_path: Path) -> None:
    code = "import ctypes\ndef train():\n    ctypes.string_at(0)\ntrain()\n"
    text = digest(output_of(tmp_path, code, "-X", "faulthandler"), reason="ended by SIGSEGV")
    assert "Where it was, most recent call first:" in text
    assert 'File "experiment.py", line 3, in train' in text
    assert "Extension modules" not in text


# --- the rest of the output -------------------------------------------------------------------------------------------


def test_the_recorded_failures_were_nothing_but_progress_bars() -> None:
    bars = [
        "Loading checkpoint shards:   0%|          | 0/2 [00:00<?, ?it/s]",
        "Loading checkpoint shards:  50%|█████     | 1/2 [00:00<00:00,  6.35it/s]",
        "Loading checkpoint shards: 100%|██████████| 2/2 [00:00<00:00,  7.62it/s]",
    ]
    for glue in ("\n", "\r", "\r\n"):
        text = digest(glue.join(bars), reason="exit code 1, and no output")
        assert text == (
            "Verdict: crashed\nReason: exit code 1, and no output\n\n"
            "Last progress: Loading checkpoint shards: 100% 2/2 [00:00<00:00, 7.62it/s]\n\nIt printed nothing."
        )


@pytest.mark.parametrize(
    "raw, lines",
    [
        ("a\rb\rc\nd", ["c", "d"]),
        ("12it [00:01, 9.1it/s]\nx", ["x"]),
        ("  3%|▎ | 3/99 [00:01<00:30, 3.1s/it]loss 0.5", ["loss 0.5"]),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["red link"]),
        ("\x00\x01a\x07b\x7f", ["ab"]),
        ("x\nx\nx\ny", ["x", "[the line above 2 more times]", "y"]),
        ("a\n\n\n\nb\n\n", ["a", "", "b"]),
        ("\rdownload 10%\rdownload 99%", []),
        ("accuracy is 93%", ["accuracy is 93%"]),
        ("table | 3 | 4 | [1, 2]", ["table | 3 | 4 | [1, 2]"]),
        ("\ufffd" * 500 + "z", ["\ufffd…z"]),
    ],
)
def test_cleaning(raw: str, lines: list[str]) -> None:
    assert clean_output(raw).lines == lines


def test_a_long_line_is_cut_in_the_middle() -> None:
    [line] = clean_output("start" + "x" * 100_000 + "end").lines
    assert line.startswith("startx") and line.endswith("xend") and len(line) < 500


def test_the_tail_is_the_end_of_the_output() -> None:
    text = digest("\n".join(f"step {n}" for n in range(5000)), Verdict.no_result, "nothing written")
    assert text.endswith("step 4998\nstep 4999") and "step 100\n" not in text and len(text) < MOST


@pytest.mark.parametrize(
    "output, line",
    [
        ("", ""),
        ("\n \n", ""),
        ("doing\nValueError: x\n", "ValueError: x"),
        ("torch.OutOfMemoryError: CUDA out of memory\nbye\n", "torch.OutOfMemoryError: CUDA out of memory"),
        ("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("no data\n", "no data"),
        ("\r 3%|▎ | 3/99 [00:01<00:30, 3.1s/it]\nError: nothing\n", "Error: nothing"),
    ],
)
def test_the_last_error_line(output: str, line: str) -> None:
    assert last_error_line(output) == line


# --- any output -------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "Traceback (most recent call last):\n",
        '  File "experiment.py", line 3, in f\n',
        '  File "/x/lib/python3.11/json/decoder.py", line 337, in decode\n',
        "    code()\n    ~~~~^^\n",
        "ValueError: x\n",
        "\nDuring handling of the above exception, another exception occurred:\n\n",
        "Current thread 0x00007f (most recent call first):\n",
        "\r 45%|████ | 45/100 [00:01<00:02, 30.1it/s]",
        "\x1b[31m",
        "\n",
        "[rank0]: ",
    ]
)


@settings(max_examples=300)
@given(
    st.lists(PIECES | st.text(max_size=40), max_size=60).map("".join), st.sampled_from(Verdict), st.text(max_size=900)
)
def test_any_output_gives_a_short_clean_digest(output: str, verdict: Verdict, reason: str) -> None:
    text = failure_excerpt(verdict, reason, output, FILES)
    assert len(text) <= MOST and text.startswith(f"Verdict: {verdict}\nReason:")
    assert not set("\x1b\r\x00\x07") & set(text.partition("\n\n")[2])


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    output = data.decode(errors="replace")
    digest(output)
    assert "\n" not in last_error_line(output)
    for one in find_tracebacks(output.split("\n")):
        assert one.end > one.start


@pytest.mark.parametrize(
    "unit", ["|", "%|", "[", "1%|x", "\r", "\x1b[", "9", "a 5% ", "Traceback (most recent call last):\n", " \t"]
)
def test_no_output_makes_it_slow(unit: str) -> None:
    before = time.process_time()
    digest((unit * 262_144)[:262_144])
    assert time.process_time() - before < 20
