"""The adapter in a process of its own: silent, quick to import, and gone at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.agent.models.calls import PROTOCOLS
from tests.servers import faults
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.openai_strict import StrictServer

ROOT = Path(__file__).resolve().parents[3]

CALLS = """
import sys
from ai_sci.agent.journal.conversation import Message
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.reply import ModelUnavailable
from ai_sci.agent.models.retrying import RetryPolicy
retry = RetryPolicy(tries=2).scaled(0.001)
for name, url, turns in {calls!r}:
    model = open_model(name, api_base=url, retry=retry)
    for turn in range(turns):
        try:
            model.complete([Message("user", "hi")], turn=turn, on_delta=lambda _: None, on_failure=lambda _: None)
        except ModelUnavailable:
            pass
"""


def python(code: str, **env: str) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment.update(PYTHONPATH=str(ROOT), **env)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_printed_whatever_goes_wrong(tmp_path, monkeypatch):
    """No 'Give Feedback', no 'Provider List', no warning about a session left open at exit."""
    # A reset can get lost on a busy machine, and the client then waits; ten minutes are the usual patience.
    monkeypatch.setenv("AI_SCI_STALL_TIMEOUT", "15")
    (tmp_path / "01.md").write_text("hello")
    trouble = [
        None,
        *(faults.status(401), faults.status(400, "context_length_exceeded")),
        *(faults.html(), faults.reset(), faults.stream_error(), faults.bad_event(), faults.null_body()),
        *(faults.no_choices(), faults.cut_stream(), faults.wrong_encoding(), faults.reasoning_only()),
    ]
    with (
        StrictServer(["fine"] * 20, list(trouble)) as one,
        DeepSeekServer(["fine"] * 20, list(trouble)) as two,
        AnthropicServer(["fine"] * 20, list(trouble)) as three,
    ):
        calls = [
            (f"scripted:{tmp_path}", None, 2),
            ("openai/any", one.url, 9),
            ("deepseek/deepseek-reasoner", two.url, 9),
            ("anthropic/claude-sonnet-4-5", three.url, 9),
        ]
        process = python(CALLS.format(calls=calls))
        out, err = process.communicate(timeout=240)
        assert one.faults == two.faults == three.faults == []
    assert (process.returncode, out, err) == (0, "", "")


def test_importing_the_adapter_and_a_wrong_folder_import_nothing_heavy():
    code = """
import sys
import ai_sci.agent.models.adapter
from ai_sci.experiment.base.errors import ConfigError
try:
    ai_sci.agent.models.adapter.open_model("scripted:/nowhere")
except ConfigError:
    pass
heavy = {"litellm", "openai", "httpx", "tenacity", "pydantic", "aiohttp"} & set(sys.modules)
assert not heavy, heavy
"""
    process = python(code)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_ctrl_c_ends_a_call_at_once_while_the_server_says_nothing():
    with StrictServer([], [faults.stalled_stream(2, seconds=60)] * 9) as server:
        process = python(CALLS.format(calls=[("openai/any", server.url, 1)]))
        wait_for(lambda: server.requests and server.requests[0].status == 200)
        time.sleep(0.2)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=55)
        assert time.monotonic() - interrupted < 45
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert len(server.requests) == 1


def test_ctrl_c_ends_the_wait_between_two_tries():
    with StrictServer([], [faults.status(429, headers={"Retry-After": "60"})] * 9) as server:
        process = python(CALLS.format(calls=[("openai/any", server.url, 1)]))
        wait_for(lambda: bool(server.requests))
        time.sleep(0.5)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=55)
        assert time.monotonic() - interrupted < 45  # the wait was a minute
    assert len(server.requests) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a connection vanish")
# The two kinds of client that litellm makes.
@pytest.mark.parametrize("protocol", ["openai", pytest.param("anthropic", marks=pytest.mark.slow)])
def test_a_server_that_is_gone_without_a_word_is_found_out_long_before_the_stall_timeout(protocol):
    """As when its reset gets lost: nothing ever comes, and the first word may take ten minutes."""
    server_type, name = PROTOCOLS[protocol]
    with server_type(["fine"], [faults.vanish()]) as server:
        code = "import ai_sci.agent.models.connections as p\np.AFTER = p.EVERY = 1\n"
        code += CALLS.format(calls=[(name, server.url, 1)])
        process = python(code, ANTHROPIC_API_KEY="test", DEEPSEEK_API_KEY="test")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [request.fault for request in server.requests] == ["vanished", ""]
    assert server.answered == 1


def test_a_call_of_the_scripted_model_takes_little_of_the_processor(tmp_path):
    """6 ms a call when nothing else runs, and no more as the conversation grows; `make bench` measures whole turns."""
    for number in range(1, 32):
        (tmp_path / f"{number:02}.md").write_text("A plan and an edit.\n" * 400)
    code = f"""
import time
from ai_sci.agent.journal.conversation import Message
from ai_sci.agent.models.adapter import open_model
model = open_model("scripted:{tmp_path}")
talk = [Message("user", "x" * 20_000)]
def call(turn):
    return model.complete(talk, turn=turn, on_delta=lambda _: None, on_failure=lambda _: None)
call(0)
before = time.process_time()
for turn in range(1, 31):
    talk += [Message("assistant", call(turn).text), Message("user", "y" * 3000)]
print((time.process_time() - before) / 30)
"""
    process = python(code)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert float(out) <= 0.3


def wait_for(condition, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_command_that_ends_while_litellm_is_imported_says_nothing_of_it():
    """Its thread is in the middle of modules that refuse to be imported once Python has begun to end."""
    for seconds in (0.0, 0.05, 0.2, 0.5):
        code = f"import time\nfrom ai_sci.agent.models import load_ahead\nload_ahead()\ntime.sleep({seconds})"
        process = python(code)
        assert (process.communicate(timeout=60), process.returncode) == (("", ""), 0)
