"""Whatever a session may cost is set aside before it is spent: each of five budgets ends it in time, and it goes on."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ai_sci.agent.budgets import Amount, BudgetReached, Budgets, Limit
from ai_sci.agent.budgets.broker import OwnResources
from ai_sci.agent.commands import replay, resuming, start
from ai_sci.agent.journal.events import AttemptFinished, BaselineStarted, CallFailed, CallStarted, Event, Replied
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.journal.state import State, Status, fold
from ai_sci.agent.session.screen import PlainScreen
from ai_sci.agent.session.session import Session
from ai_sci.agent.views.show import as_json, read_state
from ai_sci.experiment.attempt.runner import AttemptPlan
from ai_sci.experiment.base.errors import ConfigError
from tests.end_to_end.command import ROOT, argv, environment, git_log, shown
from tests.end_to_end.templates import EXPERIMENT, block, good_session, make_template, write_script
from tests.servers import faults
from tests.servers.openai_strict import StrictServer

MODEL = "openai/gpt-4o-mini"  # litellm knows its price
SLOW = "Run 1.\n\n" + block("STEPS = 10", "STEPS = 20\nimport time\ntime.sleep(2.5)")
HUNGRY = "Run 1.\n\n" + block("STEPS = 10", "STEPS = 20\nopen(out_dir + '/big', 'wb').write(os.urandom(6_000_000))")


@pytest.fixture
def run(tmp_path, monkeypatch, cache) -> Callable[..., Path]:
    """Drives a session in this process, which saves the imports; returns its folder."""
    monkeypatch.setenv("AI_SCI_CACHE", cache)
    monkeypatch.setenv("AI_SCI_RETRY_WAIT", "0.02")

    def run(budgets: Budgets, server: StrictServer | None = None, replies: list[str] | None = None) -> Path:
        options = start.RunOptions(
            idea="more_steps",
            template=str(make_template(tmp_path / "template")),
            model=MODEL if server else write_script(tmp_path / "script", replies or good_session()),
            api_base=server.url if server else None,
            runs_dir=tmp_path / "runs",
            session="s",
            budgets=budgets,
        )
        return start.run(options, PlainScreen())[0]

    return run


def resume(folder: Path, budgets: Budgets | None = None) -> State:
    resuming.resume(folder, resuming.ResumeOptions(budgets=budgets or Budgets()), PlainScreen())
    return read_state(folder)


def events(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / "journal.jsonl")]


def only(kind: type, folder: Path) -> list:
    return [event for event in events(folder) if isinstance(event, kind)]


def reason(state: State) -> str:
    assert state.status is Status.budget_exhausted, state.ended
    assert state.ended is not None
    return state.ended.reason


# --- money and tokens -------------------------------------------------------------------------------------------------


def test_a_stream_cut_in_the_middle_is_paid_for_and_a_refusal_is_not(run):
    refused = faults.status(429, headers={"Retry-After": "0"})
    with StrictServer(good_session(), [refused, faults.cut_stream(12)]) as server:
        folder = run(Budgets(cost=1.0), server)
    free, cut = only(CallFailed, folder)
    assert (free.failure, free.cost, free.prompt_tokens) == ("rate_limited", 0.0, 0)
    assert cut.failure == "cut" and cut.prompt_tokens > 300 and 50 < cut.completion_tokens < 400
    replies, state = only(Replied, folder), read_state(folder)
    assert state.status is Status.completed
    assert cut.cost == pytest.approx(cut.prompt_tokens * 0.15e-6 + cut.completion_tokens * 0.6e-6)
    llm = as_json(folder, state)["llm"]
    assert llm["cost_usd"] == pytest.approx(sum(reply.cost for reply in replies) + cut.cost, abs=1e-6)
    assert llm["calls"] == len(replies) == 4
    assert (llm["unsettled_cost_usd"], llm["unsettled_tokens"]) == (0.0, 0)
    assert len(only(CallStarted, folder)) == len(server.requests) == 6


def test_the_budget_is_looked_at_between_two_tries_of_a_call(run):
    with StrictServer(good_session(), [faults.cut_stream(12)] * 7) as server:
        folder = run(Budgets(cost=0.00001), server)
        assert server.requests == []
        limit = only_most(folder, "may take ") + 0.0001  # a worst case, and one cut try
        state = resume(folder, Budgets(cost=limit))
        assert "--max-cost" in reason(state)
        asked = len(server.requests)
        assert 1 <= asked < 5, "there would be eight tries"
        assert 0 < state.spent.cost <= limit
        assert state.spent.cost == pytest.approx(sum(failed.cost for failed in only(CallFailed, folder)))
        assert "--max-cost" in reason(resume(folder)), "what the tries cost counts after a resume too"
        assert len(server.requests) == asked
        server.faults.clear()
        assert resume(folder, Budgets(cost=1.0)).status is Status.completed


def only_most(folder: Path, words: str) -> float:
    """The number that stands behind these words in the reason of the end."""
    return float(reason(read_state(folder)).partition(words)[2].split()[0].rstrip("."))


def test_max_tokens_is_kept_and_a_resume_with_more_goes_on(run):
    with StrictServer(good_session()) as server:
        folder = run(Budgets(tokens=100), server)
        assert "--max-tokens 100 would be passed" in reason(read_state(folder))
        assert server.requests == []
        most = int(only_most(folder, "may take "))
        assert 16_384 < most < 20_000, "the prompt, and the longest reply of this model"
        state = resume(folder, Budgets(tokens=most + 700))
        assert "--max-tokens" in reason(state) and 1 <= len(server.requests) < 4
        assert state.spent.committed.tokens <= most + 700
        assert resume(folder, Budgets(tokens=200_000)).status is Status.completed


def test_max_tokens_counts_a_script_too_and_what_a_replay_plays_again_does_not_count(run, tmp_path):
    folder = run(Budgets(tokens=1_000))
    assert "--max-tokens" in reason(read_state(folder))
    assert resume(folder, Budgets(tokens=100_000)).status is Status.completed
    options = replay.ReplayOptions(runs_dir=tmp_path / "runs", session="again", budgets=Budgets(tokens=10))
    assert replay.replay(folder, options, PlainScreen())[1] is Status.completed


def test_a_session_that_was_paid_for_is_replayed_and_branched_as_any_other(run, tmp_path):
    with StrictServer(good_session(), [faults.cut_stream(12)]) as server:
        folder = run(Budgets(cost=1.0), server)
    again, status = replay.replay(
        folder, replay.ReplayOptions(runs_dir=tmp_path / "runs", session="again"), PlainScreen()
    )
    compared = read_state(again).compared
    assert status is Status.completed and compared is not None and compared.differences == []
    assert only(CallStarted, again) == []
    with StrictServer(good_session()[1:]) as server:
        asked = replay.ReplayOptions(
            model=MODEL, api_base=server.url, from_turn=2, runs_dir=tmp_path / "runs", session="branch"
        )
        branch, status = replay.replay(folder, asked, PlainScreen())
    state = read_state(branch)
    assert status is Status.completed
    assert state.budgets.cost == 1.0, "the limit of the origin, for calls of its own"
    assert state.spent.calls == 3 and state.spent_before is not None and state.spent_before.calls == 1


def test_a_kill_in_the_middle_of_a_paid_call_counts_it_with_the_most_that_it_can_cost(run, tmp_path, cache):
    template = make_template(tmp_path / "template")
    with StrictServer(good_session(), [faults.stalled_stream(3)]) as server:
        command = ["run", "--template", template, "--idea", "more_steps", "--session", "s", "--max-cost", "1"]
        process = subprocess.Popen(
            argv(*command, "--model", MODEL, "--api-base", server.url),
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT), AI_SCI_CACHE=cache),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: len(server.requests) == 1)
        process.kill()
        process.wait()
        folder = tmp_path / "runs" / "s"
        llm = shown(folder)["llm"]
        assert (llm["calls"], llm["cost_usd"]) == (0, 0.0)
        assert 0.009 < llm["unsettled_cost_usd"] < 0.02 and llm["unsettled_tokens"] > 16_384
        state = resume(folder, Budgets(cost=1.5 * llm["unsettled_cost_usd"]))
        assert "unsettled" in reason(state)
        assert len(server.requests) == 1, "it is not sent again while it may have been paid for already"
        state = resume(folder, Budgets(cost=1.0))
        assert state.status is Status.completed
        assert as_json(folder, state)["llm"]["unsettled_cost_usd"] == llm["unsettled_cost_usd"]


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.stalled_stream(3), id="in the middle of a stream"),
        pytest.param(faults.stalled_stream(0), id="before the first word", marks=pytest.mark.slow),
        pytest.param(faults.status(429, headers={"Retry-After": "60"}), id="between two tries"),
    ],
)
def test_max_time_ends_a_call_that_hangs(run, fault):
    with StrictServer(good_session(), [fault]) as server:
        began = time.monotonic()
        folder = run(Budgets(time=1.5), server)
        took = time.monotonic() - began
        assert "--max-time 2s" in reason(read_state(folder)) and len(server.requests) == 1
        assert took < 45, "the server would have had it wait for a minute"
        [started], [failed] = only(CallStarted, folder), only(CallFailed, folder)
        if failed.failure == "out_of_time":
            assert failed.cost == started.reserved_cost, "nobody waits for what it will have cost in the end"
            assert failed.prompt_tokens + failed.completion_tokens == started.reserved_tokens
        else:
            assert (failed.failure, failed.cost) == ("rate_limited", 0.0)
        assert "--max-time" in reason(resume(folder)) and len(server.requests) == 1
        assert resume(folder, Budgets(time=600.0)).status is Status.completed


def test_max_time_ends_the_baseline_and_it_is_measured_by_the_resume(run, tmp_path):
    code = f"{EXPERIMENT}\nimport time\ntime.sleep(1.5 if STEPS == 10 else 0)\n"
    make = start.RunOptions(
        idea="more_steps",
        template=str(make_template(tmp_path / "slow", experiment_py=code)),
        model=write_script(tmp_path / "script", good_session()),
        runs_dir=tmp_path / "runs",
        session="slow",
        budgets=Budgets(time=1.0),
    )
    folder = start.run(make, PlainScreen())[0]
    assert "--max-time" in reason(read_state(folder)) and read_state(folder).baseline is None
    state = resume(folder, Budgets(time=600.0))
    assert state.status is Status.completed and state.baseline is not None and state.baseline.verdict == "ok"


def test_a_clock_that_is_set_costs_a_running_session_no_time(run, monkeypatch):
    folder = run(Budgets(time=100.0))
    session = Session(folder, ["experiment.py"], PlainScreen())
    before = session.time_left()
    session.journal._clock = lambda: time.time() + 3600  # somebody sets the clock
    session.record(CallFailed(None, "cut", "a try", None))
    assert before - 1 < session.time_left() <= before < 100
    session.close()


# --- GPUs and disk ----------------------------------------------------------------------------------------------------


def test_gpu_hours_shorten_an_attempt_and_a_resume_with_more_repeats_it(run, monkeypatch):
    monkeypatch.setattr(
        "ai_sci.agent.budgets.broker.gpu_present", lambda: True
    )  # the one part of this that needs a machine with one
    folder = run(Budgets(gpu_hours=2 / 3600), replies=[SLOW, *good_session()[1:]])
    state = read_state(folder)
    assert "--max-gpu-hours" in reason(state)
    [lost] = only(AttemptFinished, folder)
    assert lost.verdict == "lost" and "--max-gpu-hours" in lost.reason and lost.seconds < 20, "its code takes 30"
    assert 1.0 < state.spent.gpu_seconds < 22
    assert git_log(folder)[-1] == "run 1 attempt 1 (full): lost", "all of it is committed"
    assert "--max-gpu-hours" in reason(resume(folder)), "nothing is left to begin it with"
    assert len(only(AttemptFinished, folder)) == 1
    state = resume(folder, Budgets(gpu_hours=1.0))
    assert state.status is Status.completed
    assert state.spent.gpu_seconds > lost.seconds + 2.5
    assert as_json(folder, state)["gpu_hours"] == pytest.approx(state.spent.gpu_seconds / 3600, abs=1e-6)


def test_gpus_that_a_killed_session_held_count_until_it_was_found_dead(run, monkeypatch, tmp_path):
    monkeypatch.setattr("ai_sci.agent.budgets.broker.gpu_present", lambda: True)
    folder = run(Budgets(gpu_hours=10.0))
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    began = next(index for index, line in enumerate(lines) if '"attempt_started"' in line)
    held_before = _gpu_seconds(folder, lines[: began + 1])
    at = read_journal(journal)[began].at
    resumed = f'{{"at": {at + 7.5}, "event": "resumed", "model": "m", "api_base": null, "max_runs": 5, '
    resumed += '"max_cost": null, "max_time": null}\n'
    assert _gpu_seconds(folder, [*lines[: began + 1], resumed]) == pytest.approx(held_before + 7.5)
    late = resumed.replace(str(at + 7.5), str(at + 10**6))
    assert _gpu_seconds(folder, [*lines[: began + 1], late]) == held_before + 7200, "no attempt outlives its limit"


def _gpu_seconds(folder: Path, lines: list[str]) -> float:
    (folder / "cut.jsonl").write_text("".join(lines))
    return fold(read_journal(folder / "cut.jsonl")).spent.gpu_seconds


def test_the_baseline_holds_gpus_too(run, monkeypatch, tmp_path):
    monkeypatch.setattr("ai_sci.agent.budgets.broker.gpu_present", lambda: True)
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "fresh"))
    folder = run(Budgets(gpu_hours=0.0))
    assert "--max-gpu-hours" in reason(read_state(folder)) and only(BaselineStarted, folder) == []
    state = resume(folder, Budgets(gpu_hours=1.0))
    assert len(only(BaselineStarted, folder)) == 1 and state.baseline is not None
    assert state.spent.gpu_seconds > state.baseline.seconds > 0


def test_max_disk_ends_a_session_before_its_folder_grows_beyond_it(run):
    limit = 4 * 1024**2
    folder = run(Budgets(disk=limit), replies=[HUNGRY, *good_session()[1:]])
    assert "--max-disk 4M would be passed" in reason(read_state(folder))
    [lost] = only(AttemptFinished, folder)
    assert lost.verdict == "lost"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < limit
    assert git_log(folder)[-1] == "run 1 attempt 1 (full): lost"
    assert resume(folder, Budgets(disk=100 * 1024**2)).status is Status.completed


# --- the broker -------------------------------------------------------------------------------------------------------


@dataclass
class Watched(OwnResources):
    """A broker that writes down what it is asked; it refuses `no` as the batch's ledger would."""

    log: list[tuple[str, Amount]] = field(default_factory=list)
    spent: list[Amount] = field(default_factory=list)
    no: Callable[[Amount], str | None] = lambda most: None
    deadline: float = math.inf
    rest: Budgets = Budgets()

    def reserve(self, worst_case: Amount) -> None:
        if refused := self.no(worst_case):
            raise BudgetReached(refused)
        self.log.append(("reserve", worst_case))

    def settle(self, reserved: Amount, spent: Amount) -> None:
        self.log.append(("settle", reserved))
        self.spent.append(spent)

    def time_left(self) -> float:
        return self.deadline - time.monotonic()

    def limits(self) -> dict[str, Limit]:
        budgets = self.rest if self.deadline == math.inf else replace(self.rest, time=self.time_left())
        limits = (budgets.limit(name, 0.0, shared=True) for name in ("gpu_seconds", "disk", "time"))
        return {limit.name: limit for limit in limits if limit}

    def gpus_for(self, plan: AttemptPlan) -> int:
        return 2


@pytest.fixture
def broker(monkeypatch) -> Watched:
    broker = Watched()
    monkeypatch.setattr(start, "OwnResources", lambda elsewhere: broker)
    return broker


def test_each_try_and_each_attempt_is_asked_for_at_the_broker_and_settled_there(run, broker, monkeypatch, tmp_path):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "fresh"))
    with StrictServer(good_session(), [faults.cut_stream(12)]) as server:
        folder = run(Budgets(), server)
    assert [what for what, _ in broker.log] == ["reserve", "settle"] * 7, "baseline, five tries, one attempt"
    assert all(asked == settled for (_, asked), (_, settled) in zip(broker.log[::2], broker.log[1::2]))
    calls = [one for one in broker.spent if one.tokens]
    state = read_state(folder)
    assert sum(one.cost for one in calls) == pytest.approx(state.spent.cost)
    assert sum(one.tokens for one in calls) == state.spent.committed.tokens
    baseline, attempt = (one for one in broker.spent if not one.tokens)
    assert baseline.gpu_seconds > 0 and attempt.gpu_seconds == pytest.approx(state.spent.gpu_seconds / 2, rel=0.6)
    assert attempt.disk > 0
    assert [most.gpu_seconds for _, most in broker.log[::2] if most.gpu_seconds] == [2 * 7200.0] * 2


@pytest.mark.parametrize("of", ["tokens", "gpu_seconds"])
def test_a_refusal_of_the_broker_ends_the_session_with_its_reason(run, broker, of):
    broker.no = lambda most: "the batch has spent it all" if getattr(most, of) else None
    folder = run(Budgets())
    assert reason(read_state(folder)) == "the batch has spent it all"
    broker.no = lambda most: None
    assert resume(folder).status is Status.completed


def test_an_attempt_gets_what_is_left_of_the_shared_budgets(run, broker):
    broker.rest = Budgets(gpu_hours=3 / 3600, disk=10**9)
    broker.no = lambda most: "another was faster" if most.gpu_seconds > 3 or most.disk > 10**9 else None
    folder = run(Budgets(), replies=[SLOW, *good_session()[1:]])
    assert "--max-gpu-hours 0.0008333 of the batch" in reason(read_state(folder))
    [lost] = only(AttemptFinished, folder)
    assert lost.verdict == "lost" and 1.4 < lost.seconds < 20, "two GPUs, so half of the three seconds"
    broker.rest = Budgets(disk=0)
    assert "--max-disk 0 of the batch is used up" in reason(resume(folder))


def test_the_batchs_time_ends_a_call_and_is_named(run, broker):
    with StrictServer(good_session(), [faults.stalled_stream(3)]) as server:
        broker.deadline = time.monotonic() + 1.5
        folder = run(Budgets(time=600.0), server)
    assert re.match("--max-time .* of the batch", reason(read_state(folder)))


def test_ctrl_c_in_a_call_leaves_it_unsettled_and_in_an_attempt_settles_it(run, broker):
    with StrictServer(good_session(), [faults.stalled_stream(3)]) as server, interrupted(lambda: server.requests):
        folder = run(Budgets(), server)
    state = read_state(folder)
    assert state.status is Status.interrupted and state.spent.unsettled_cost > 0
    assert broker.log[-1][0] == "reserve", "the call may be charged: whoever keeps the books is not told otherwise"
    broker.log.clear()
    (folder.parent / "s").rename(folder.parent / "first")
    began = folder / "attempts" / "run_1.1" / "output.log"
    with interrupted(began.exists):
        folder = run(Budgets(), replies=[SLOW, *good_session()[1:]])
    assert read_state(folder).status is Status.interrupted
    assert broker.log[-1][0] == "settle" and broker.spent[-1].gpu_seconds < 2 * 20


@contextlib.contextmanager
def interrupted(when: Callable[[], object]):
    """Ctrl-C for this process as soon as `when` is true."""

    def press() -> None:
        until(lambda: bool(when()))
        os.kill(os.getpid(), signal.SIGINT)

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {name: signal.getsignal(name) for name in names}
    thread = threading.Thread(target=press)
    thread.start()
    yield
    thread.join()
    for name, handler in handlers.items():  # a session that is on its way out hears no more signals
        signal.signal(name, handler)


# --- what cannot be kept is refused -----------------------------------------------------------------------------------


def test_a_budget_that_cannot_be_kept_is_refused_in_a_line_that_says_how_it_could(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", cache)
    prices = tmp_path / "prices.json"
    with StrictServer(good_session()) as server:
        options = start.RunOptions(
            idea="more_steps",
            template=str(make_template(tmp_path / "template")),
            model="openai/home-grown",
            api_base=server.url,
            runs_dir=tmp_path / "runs",
        )
        with pytest.raises(ConfigError, match="no price .* AI_SCI_PRICES=FILE.json, which holds {.openai/home-grown"):
            start.run(replace(options, budgets=Budgets(cost=1.0)), PlainScreen())
        with pytest.raises(ConfigError, match="--context-window"):
            start.run(replace(options, budgets=Budgets(tokens=100_000)), PlainScreen())
        mine = '"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "max_output_tokens": 9'
        prices.write_text(f'{{"openai/home-grown": {{{mine}}}}}')
        monkeypatch.setenv("AI_SCI_PRICES", str(prices))
        folder, status = start.run(replace(options, budgets=Budgets(cost=1.0, tokens=100_000)), PlainScreen())
    assert status is Status.completed
    replies = only(Replied, folder)
    assert any(reply.cached_tokens for reply in replies), "for which the file has no price of their own"
    costs = [reply.prompt_tokens * 1e-6 + reply.completion_tokens * 4e-6 for reply in replies]
    assert [reply.cost for reply in replies] == pytest.approx(costs)
    assert read_state(folder).budgets == Budgets(cost=1.0, tokens=100_000)
