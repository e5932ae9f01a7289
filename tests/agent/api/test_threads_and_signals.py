"""A session in a thread, in a notebook's kernel, and one that is interrupted: it ends in order, and goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ai_sci
from ai_sci.agent.edits.quiet import without_warnings
from tests.agent.api.conftest import SLOW, finished, python, scripted
from tests.end_to_end.templates import block, good_session

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_a_session_in_a_thread(place):
    """Only the main thread may set signal handlers; it has its own all the while, and goes on printing."""
    handlers = [signal.getsignal(name) for name in SIGNALS]
    found: list[ai_sci.SessionView] = []
    model = scripted(place, good_session())
    thread = threading.Thread(
        target=lambda: found.append(ai_sci.run(idea="more_steps", template="template", model=model))
    )
    thread.start()
    while thread.is_alive():
        assert [signal.getsignal(name) for name in SIGNALS] == handlers
        thread.join(0.01)
    assert found[0].status == "completed" and found[0].runs[0].accepted


def test_two_sessions_in_two_threads_of_one_process(place):
    """Both lint what does not compile, with the standard output and the warnings of the whole process."""
    wrong = [block("STEPS = 10", "STEPS = (10"), block("STEPS = (10", "STEPS = 20")]
    model = scripted(place, [*wrong, *good_session()[1:]])

    def run(name: str) -> ai_sci.SessionView:
        return ai_sci.run(idea="more_steps", template="template", model=model, session=name)

    run("before")  # libraries change filters when they are imported
    streams, filters = (sys.stdout, sys.stderr), list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, ["one", "two"])
    assert (one.status, two.status) == ("completed", "completed")
    assert one.runs[0].replies[0].refused == two.runs[0].replies[0].refused == "lint_failed"
    assert one.runs[0].metrics == two.runs[0].metrics
    assert (sys.stdout, sys.stderr) == streams and list(warnings.filters) == filters


def test_warnings_are_silenced_by_one_thread_at_a_time():
    """Two that overlap would put back each other's filters, and silence the process for good."""
    filters, second = list(warnings.filters), threading.Event()

    def silence() -> None:
        with without_warnings():
            second.set()

    with without_warnings():
        thread = threading.Thread(target=silence)
        thread.start()
        assert not second.wait(0.3)
    thread.join()
    assert second.is_set() and list(warnings.filters) == filters


def test_one_session_is_driven_once(place):
    """A second thread that asks for the same session, or for its name, is refused, and the first one goes on."""
    model = scripted(place, [SLOW, *good_session()[1:]])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ai_sci.run, idea="more_steps", template="template", model=model, session="s")
        _until_an_attempt_runs(place / "runs" / "s", first.running)
        assert ai_sci.open_session("runs/s").status == "running"
        with pytest.raises(ai_sci.ConfigError, match="another process is working on"):
            ai_sci.resume("runs/s")
        with pytest.raises(ai_sci.ConfigError, match="exists"):
            ai_sci.run(idea="more_steps", template="template", model=model, session="s")
        assert first.result().status == "completed"


SCRIPT = """
import signal, sys
import ai_sci

handlers = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
try:
    for name in ("s", "never"):  # an interrupt ends the loop, as it does without ai-sci
        {call}
except KeyboardInterrupt as interrupt:
    assert type(interrupt) is ai_sci.SessionInterrupted, interrupt
    value = ai_sci.{open}(interrupt.folder)
    print(value.name, value.status, value.resumable)
assert handlers == [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupts work")
print(ai_sci.{resume}("runs/s").status)
"""
RUN = "ai_sci.run(idea='more_steps', template='template', model={model!r}, session=name)"
BATCH = "ai_sci.batch(ideas='more_steps', templates='template', model={model!r}, name=name)"


@pytest.mark.parametrize(
    ("call", "open_", "resume", "session", "number"),
    [
        (RUN, "open_session", "resume", "s", signal.SIGINT),
        (BATCH, "open_batch", "resume_batch", "s/more_steps", signal.SIGTERM),
    ],
    ids=["run", "batch"],
)
def test_an_interrupt_ends_it_in_order(place, call, open_, resume, session, number):
    call = call.format(model=scripted(place, [SLOW, *good_session()[1:]]))
    process = python(place, SCRIPT.format(call=call, open=open_, resume=resume))
    _until_an_attempt_runs(place / "runs" / session, lambda: process.poll() is None)
    process.send_signal(number)
    out, err = finished(process)
    assert out.splitlines() == ["s interrupted True", "interrupts work", "completed"]
    assert err == "" and not (place / "runs" / "never").exists()


def test_a_batch_ends_with_the_process_that_asked_for_it(place):
    code = f"import ai_sci\nname = 's'\n{BATCH.format(model=scripted(place, [SLOW, *good_session()[1:]]))}"
    process = python(place, code)
    _until_an_attempt_runs(place / "runs" / "s" / "more_steps", lambda: process.poll() is None)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while (batch := ai_sci.open_batch("runs/s")).status == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (batch.status, batch.reason) == ("interrupted", "stopped by a signal")


def test_the_interrupt_of_a_notebook(place):
    """The kernel's "interrupt" is SIGINT for its main thread, which executes the cell."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(place), env=dict(os.environ))
    try:
        call = RUN.format(model=scripted(place, [SLOW, *good_session()[1:]]))
        # A failed cell aborts those that follow at once; on a busy machine that includes the next one here.
        asked = client.execute(f"import ai_sci\nname = 's'\n{call}", stop_on_error=False)
        _until_an_attempt_runs(place / "runs" / "s", manager.is_alive)
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != asked:
            pass  # an answer to the client itself
        assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "SessionInterrupted")
        code = "assert ai_sci.open_session('runs/s').status == 'interrupted'\nsession = ai_sci.resume('runs/s')"
        answer = client.execute_interactive(f"{code}\nassert session.status == 'completed'", timeout=60)
        assert answer["content"]["status"] == "ok", answer["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _until_an_attempt_runs(session: Path, alive) -> None:
    deadline = time.monotonic() + 60
    journal = session / "journal.jsonl"
    while not (journal.is_file() and "attempt_started" in journal.read_text()):
        assert alive() and time.monotonic() < deadline
        time.sleep(0.02)
