"""ai-sci against a server and a chat template that nobody here wrote: llama.cpp with Gemma 3 270M on loopback.

The model is far too small for the work. What counts is what goes over the wire, and that every session ends in a
named outcome. `make test-live` runs this; the model's package brings Gemma's terms (see server.py).
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_sci.agent.journal.conversation import Message, wire_messages
from ai_sci.agent.journal.events import CallFailed, ConversationRebuilt, Event, Replied
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.models.adapter import open_model
from ai_sci.agent.models.reply import ModelUnavailable
from ai_sci.agent.models.retrying import RetryPolicy
from tests.end_to_end.command import ROOT, Done, ai_sci, argv, environment, shown
from tests.end_to_end.templates import make_template, write_script
from tests.live.llama import Llama, assistant, llama, user
from tests.live.recorder import Recorder, recording
from tests.servers.openai_strict import refuse_messages

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

GRAMMAR = Path(__file__).with_name("edit.gbnf")
MODEL = ("--model", "openai/gemma")
KEY = {"OPENAI_API_KEY": "none", "AI_SCI_RETRY_WAIT": "0.02"}
# One failure closes a run and two such runs end the session: a few replies, not a few dozen.
SHORT = "[experiment]\nmax_runs = 2\nmax_failures = 1\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Llama]:
    with llama(tmp_path_factory.mktemp("llama") / "log", context=8192, reply=64) as server:
        yield server


# The server refuses what it should, or the sessions below would prove nothing.


def test_the_server_refuses_two_user_messages_in_a_row(server):
    answer = server.chat([user("Hello."), user("Are you there?")])
    assert answer.status == 400
    assert "Conversation roles must alternate" in answer.error["message"]


def test_it_refuses_them_in_a_stream_and_in_the_middle_of_a_conversation_too(server):
    talk = [user("Hello."), assistant("Hi."), user("One."), user("Two.")]
    for messages in (talk, talk[1:3]):
        answer = server.chat(messages, stream=True)
        assert answer.status == 400
        assert "Conversation roles must alternate" in answer.error["message"]


@pytest.mark.parametrize("turns", [1, 3, 5])
def test_it_takes_alternating_messages(server, turns):
    talk = [user("Hello."), assistant("Hi."), user("One."), assistant("Two."), user("Three.")]
    answer = server.chat(talk[:turns], max_tokens=4)
    assert answer.status == 200
    assert answer.body["usage"]["completion_tokens"] > 0


def test_the_adapter_names_that_refusal_and_does_not_send_a_repaired_conversation(server, monkeypatch):
    """litellm would insert blank messages when it reads these very words, and ask again."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with recording(server.port) as recorder:
        model = open_model("openai/gemma", api_base=recorder.url, retry=RetryPolicy(tries=4).scaled(0.001))
        with pytest.raises(ModelUnavailable, match="must alternate") as refused:
            model.complete(
                [Message("user", "Hello."), Message("user", "Are you there?")],
                turn=0,
                on_delta=lambda _: None,
                on_failure=lambda _: None,
            )
    assert (refused.value.failure.status, refused.value.failure.kind) == (400, "bad_request")
    assert recorder.statuses == [400]


# Sessions.


def test_a_session_of_the_tiny_template_makes_no_bad_request(server, tmp_path):
    with recording(server.port) as recorder:
        done = ai_sci(
            *("run", "--template", "tiny", "--idea", "fourier_features", "--session", "s", "--max-runs", "2"),
            *(*MODEL, "--api-base", recorder.url),
            cwd=tmp_path,
            timeout=1000,
            **KEY,
            AI_SCI_CACHE=str(tmp_path / "cache"),
        )
    state = ended_in_order(done)
    assert state["status"] != "model_unavailable"
    assert state["llm"]["calls"] == len(recorder.requests) >= 2
    all_well_formed(recorder)
    assert set(recorder.statuses) == {200}
    assert [len(request.messages) for request in recorder.requests] == list(range(1, 2 * len(recorder.requests), 2))


def test_a_model_held_to_edits_by_a_grammar_gets_a_run_accepted(tmp_path):
    """Past the first phase: results, a refused edit, plots and notes are told to a live server as well."""
    with (
        llama(tmp_path / "log", context=8192, reply=200, grammar=GRAMMAR) as server,
        recording(server.port) as recorder,
    ):
        done = run(tmp_path, recorder.url, SHORT)
    state = ended_in_order(done)
    assert (done.code, state["status"]) == (0, "completed")
    assert [one["status"] for one in state["runs"]] == ["ok", "edit_refused"]
    assert state["runs"][0]["metrics"]["steps"] >= 20
    all_well_formed(recorder)
    assert set(recorder.statuses) == {200}


def test_a_conversation_that_outgrows_the_servers_window_is_rebuilt(server, tmp_path):
    """The words are llama.cpp's, not ours: the request's size comes first in them, then the window's."""
    template = make_template(tmp_path / "template", toml="[experiment]\nmax_runs = 2\nmax_failures = 3\n")
    script = write_script(tmp_path / "script", ["Hm."])
    ai_sci("run", "--template", template, "--idea", "more_steps", "--session", "size", "--model", script, cwd=tmp_path)
    needed = server.tokens(first_request(tmp_path / "runs" / "size"))
    window = (needed + 500) // 256 * 256 + 256  # llama.cpp rounds up to this; two or three turns fill it
    with llama(tmp_path / "log", context=window, reply=160, never_done=True) as small:
        answer = small.chat([user("word " * window)])
        assert answer.status == 400
        assert answer.error["type"] == "exceed_context_size_error"
        size, limit = answer.error["n_prompt_tokens"], answer.error["n_ctx"]
        assert limit == window
        assert f"request ({size} tokens) exceeds the available context size ({limit} tokens)" in answer.error["message"]
        with recording(small.port) as recorder:
            done = run(tmp_path, recorder.url)
    state = ended_in_order(done)
    assert state["status"] == "gave_up"
    assert [(one.status, one.failure) for one in failed_calls(done.session)] == [(400, "context_window")]
    learned = [event.learned_window for event in events(done.session) if isinstance(event, ConversationRebuilt)]
    assert learned[0] == window
    assert recorder.statuses.count(400) == 1  # once it is known, no request is too long
    all_well_formed(recorder)


def test_ctrl_c_while_the_model_writes(tmp_path):
    """The session is interrupted, the server stops writing at once, and resume sends the same request."""
    with (
        llama(tmp_path / "log", context=8192, reply=3000, never_done=True) as server,
        recording(server.port) as recorder,
    ):
        process = start(tmp_path, recorder.url)
        wait_for(lambda: server.written() >= 5, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        wait_for(lambda: not server.busy())
        assert server.send("GET", "/slots").body[0]["next_token"][0]["n_decoded"] < 3000
        assert process.returncode == 3
        folder = Path(out.strip())
        assert "Traceback" not in err
        assert shown(folder)["status"] == "interrupted"
        assert orphans(folder) == []
        assert len(recorder.requests) == 1
        again = start(tmp_path, recorder.url, resume=folder)
        wait_for(lambda: len(recorder.requests) == 2 and server.written() >= 1, again)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=60)
        assert again.returncode == 3
    assert recorder.requests[0].raw == recorder.requests[1].raw
    all_well_formed(recorder)


def test_a_server_killed_while_it_writes(tmp_path):
    """Nothing is lost: the session can be resumed on another server, with the same request."""
    with llama(tmp_path / "log", context=8192, reply=3000, never_done=True) as server:
        process = start(tmp_path, server.url)
        wait_for(lambda: server.written() >= 5, process)
        server.process.kill()
        out, err = process.communicate(timeout=60)
    folder = Path(out.strip())
    assert process.returncode == 3
    state = shown(folder)
    assert (state["status"], state["llm"]["calls"]) == ("model_unavailable", 0)
    assert "Traceback" not in err
    assert "is a server running at" in err
    broken, *refused = failed_calls(folder)
    assert (broken.failure, broken.status) == ("cut", None)
    assert refused and {one.failure for one in refused} == {"connection"}
    asked = first_request(folder)
    with llama(tmp_path / "log2", context=8192, reply=32) as server, recording(server.port) as recorder:
        done = ai_sci("resume", folder, "--api-base", recorder.url, cwd=tmp_path, timeout=600, **KEY)
    state = ended_in_order(done)
    assert state["status"] != "model_unavailable"
    assert recorder.requests[0].messages == asked
    assert set(recorder.statuses) == {200}
    all_well_formed(recorder)


# What every session is held to.


def ended_in_order(done: Done) -> dict[str, Any]:
    """The session ended in a named outcome, with the exit code that goes with it, and left no process behind."""
    assert "\nTraceback" not in done.err, done.err  # an experiment's own is indented
    state = shown(done.session)
    accepted = any(one["status"] == "ok" for one in state["runs"])
    codes = {"completed": 0 if accepted else 1, "no_run_accepted": 1, "gave_up": 0 if accepted else 1}
    codes |= {"model_unavailable": 3, "budget_exhausted": 3}
    assert done.code == codes[state["status"]], (state["status"], done.err)
    assert orphans(done.session) == []
    print(f"\n{state['status']}, exit code {done.code}, {state['llm']['calls']} replies", end="")
    return state


def all_well_formed(recorder: Recorder) -> None:
    """user, assistant, user, …, nothing empty, nothing but the two keys: in the bytes that went out."""
    assert recorder.requests
    for request in recorder.requests:
        assert refuse_messages(request.messages) is None
        assert "alternate" not in (request.refusal or "")
    print(f"\nrequests by status: {dict(Counter(recorder.statuses))}, all alternating ", end="")


def orphans(folder: Path) -> list[str]:
    """Processes that have the session's folder in their command line."""
    time.sleep(0.3)
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if str(folder).encode() in command_line(pid)]


def command_line(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


def run(folder: Path, url: str, toml: str = "") -> Done:
    template = folder / "template"
    if not template.exists():
        make_template(template, toml=toml)
    return ai_sci(
        *("run", "--template", template, "--idea", "more_steps", "--session", "s", *MODEL, "--api-base", url),
        cwd=folder,
        timeout=1000,
        **KEY,
    )


def start(folder: Path, url: str, resume: Path | None = None) -> subprocess.Popen[str]:
    """`run` without waiting for its end; or `resume` of a session."""
    what = ("resume", resume) if resume else ("run", "--template", make_template(folder / "template", toml=SHORT))
    which = () if resume else ("--idea", "more_steps", "--session", "s", *MODEL, "--api-base", url)
    return subprocess.Popen(
        argv(*what, *which),
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT), **KEY),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


def events(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / "journal.jsonl")]


def failed_calls(folder: Path) -> list[CallFailed]:
    return [event for event in events(folder) if isinstance(event, CallFailed)]


def first_request(folder: Path) -> list[dict[str, str]]:
    """The messages before the first reply."""
    before = itertools.takewhile(lambda event: not isinstance(event, Replied), events(folder))
    return [{"role": message.role, "content": message.content} for message in wire_messages(before)]
