"""Nothing is spent before it is set aside: money and tokens before each try of a call, GPU-seconds and disk before an
attempt. What the session's own budgets allow is asked of its journal, what it shares with others of the desk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.desk import Amount
from agent.events import CallFailed, CallStarted
from agent.model import CallFailure
from experiment.engine import Began
from experiment.plots import PlotOutcome, PlotPlan, run_plots
from experiment.quantities import format_duration, format_size
from experiment.runner import AttemptOutcome, AttemptPlan
from experiment.verdict import Verdict
from experiment.watchdog import measure_disk

if TYPE_CHECKING:
    from agent.conversation import Message
    from agent.reply import Reply
    from agent.work import Work

_SHORTEST = 1.0  # seconds of an attempt: with less left it is not begun
_OF_BATCH = "the batch's "


class BudgetReached(Exception):
    """The next step may cost more than is left. The session ends for now with `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# --- time -------------------------------------------------------------------------------------------------------------


def time_left(work: Work) -> float:
    """Seconds; infinite without a limit."""
    return min(work.session.time_left(), work.desk.time_left())


def check_time(work: Work) -> None:
    if time_left(work) <= 0:
        raise BudgetReached(_time_is_up(work))


def _time_setting(work: Work) -> str:
    return "--max-time" if work.session.time_left() <= work.desk.time_left() else f"{_OF_BATCH}--max-time"


def _time_is_up(work: Work) -> str:
    limit, setting = work.state.budgets.time, _time_setting(work)
    if limit is None or setting != "--max-time":
        return "--max-time of the batch is used up. Resume the batch with a higher --max-time."
    return f"{format_duration(limit)} of --max-time are used up. Resume with a higher --max-time."


# --- calls ------------------------------------------------------------------------------------------------------------


class Call:
    """One call to the model: each of its tries is set aside for before it is sent, and settled when its end is known.

    What is neither answered nor failed (Ctrl-C, a kill) stays as it is: it may have been charged.
    """

    def __init__(self, work: Work, messages: Sequence[Message]) -> None:
        self._work = work
        self._cost = work.model.worst_case_cost(messages)
        self._tokens = work.model.worst_case_tokens(messages, work.state.context_window)
        self._most = Amount(self._cost or 0.0, self._tokens or 0)
        self._open = False

    def before_try(self) -> float:
        """Seconds that the try may take. Raises BudgetReached."""
        work, most = self._work, self._most
        check_time(work)
        _check_call(work, most)
        _reserve(work, most)
        self._open = True
        if self._cost is None or self._cost > 0:
            work.session.record(CallStarted(self._cost, self._tokens))
        return time_left(work)

    def failed(self, failure: CallFailure) -> None:
        """Records a failed try; one that the clock cut short may have been charged whole."""
        prompt, completion, cost = failure.usage.prompt_tokens, failure.usage.completion_tokens, failure.cost
        if failure.kind == "out_of_time":
            cost = self._cost
            completion = max(completion, (self._tokens or 0) - prompt)
        self._work.session.record(
            CallFailed(failure.status, failure.kind, failure.message, failure.retry_in, prompt, completion, cost)
        )
        self._settle(Amount(cost or 0.0, prompt + completion))

    def answered(self, reply: Reply) -> None:
        """The reply is in the journal."""
        self._settle(Amount(reply.cost or 0.0, reply.usage.prompt_tokens + reply.usage.completion_tokens))

    def out_of_time(self) -> BudgetReached:
        return BudgetReached(_time_is_up(self._work))

    def _settle(self, spent: Amount) -> None:
        if self._open:  # a script that is used up fails without a try
            self._work.desk.settle(self._most, spent)
            self._open = False


def _check_call(work: Work, most: Amount) -> None:
    budgets, spent = work.state.budgets, work.state.spent
    so_far = spent.committed
    if budgets.cost is not None and so_far.cost + most.cost > budgets.cost:
        unsettled = f" (up to {spent.unsettled_cost:.4f} of it unsettled)" if spent.unsettled_cost > 0 else ""
        raise BudgetReached(
            f"--max-cost {budgets.cost:g} USD would be passed: {so_far.cost:.4f} spent{unsettled}, "
            f"the next call may cost {most.cost:.4f}. Resume with a higher --max-cost."
        )
    if budgets.tokens is not None and so_far.tokens + most.tokens > budgets.tokens:
        unsettled = f" (up to {spent.unsettled_tokens} of them unsettled)" if spent.unsettled_tokens > 0 else ""
        raise BudgetReached(
            f"--max-tokens {budgets.tokens} would be passed: {so_far.tokens} spent{unsettled}, "
            f"the next call may take {most.tokens}. Resume with a higher --max-tokens."
        )


# --- attempts ---------------------------------------------------------------------------------------------------------


def execute(
    work: Work, plan: AttemptPlan, on_begin: Callable[[Began, AttemptPlan], None]
) -> tuple[AttemptOutcome, BudgetReached | None]:
    """Executes the attempt within what is left of the budgets; with its outcome goes the budget that cut it short.

    `on_begin` also gets the plan as it is executed. Raises BudgetReached when there is nothing left to begin it with,
    and what the engine raises.
    """
    bounded = _bounded(work, plan)
    gpus = work.desk.gpus_for(plan)
    most = Amount(gpu_seconds=gpus * bounded.time_limit, disk=bounded.limits.disk)
    _reserve(work, most)
    began: list[tuple[float, int]] = []

    def begins(one: Began) -> None:
        held = one.gpus or gpus
        began.append((time.monotonic(), held))
        on_begin(replace(one, gpus=held), bounded)

    try:
        outcome = work.engine.run(bounded, begins, work.session.output)
    finally:  # however it ended, it has ended
        held = sum(gpus * (time.monotonic() - since) for since, gpus in began)
        work.desk.settle(most, Amount(gpu_seconds=held, disk=measure_disk([plan.folder, plan.out_dir])[0]))
    return outcome, _cut_short_by(work, plan, bounded, outcome)


def _bounded(work: Work, plan: AttemptPlan) -> AttemptPlan:
    """The plan with the time and the disk that are left. Raises BudgetReached when there are none."""
    check_time(work)
    limits, setting = plan.limits, plan.time_setting
    left = time_left(work)
    if left < limits.time:
        limits, setting = replace(limits, time=max(_SHORTEST, left)), _time_setting(work)
    of_gpus = _gpu_time_left(work, plan)
    if of_gpus < limits.time:
        limits, setting = replace(limits, time=of_gpus), "--max-gpu-hours"
    return replace(plan, limits=replace(limits, disk=min(limits.disk, disk_left(work))), time_setting=setting)


def _gpu_time_left(work: Work, plan: AttemptPlan) -> float:
    """Seconds for which this attempt may hold its GPUs."""
    limit, gpus = work.state.budgets.gpu_hours, work.desk.gpus_for(plan)
    if limit is None or gpus == 0:
        return math.inf
    left = (3600 * limit - work.state.spent.committed.gpu_seconds) / gpus
    if left < _SHORTEST:
        raise BudgetReached(_gpu_hours_are_used_up(work))
    return left


def _gpu_hours_are_used_up(work: Work) -> str:
    limit = work.state.budgets.gpu_hours
    return f"{limit:g} of --max-gpu-hours are used up. Resume with a higher --max-gpu-hours."


def disk_left(work: Work) -> int:
    """Bytes that the session's folder may still grow by. Raises BudgetReached when there are none."""
    limit = work.state.budgets.disk
    if limit is None:
        return 2**63 - 1
    used = measure_disk([work.session.folder])[0]
    if used >= limit:
        raise BudgetReached(_disk_is_used_up(limit, used))
    return limit - used


def _disk_is_used_up(limit: int, used: int, then: str = "") -> str:
    has = f"the session's folder has {format_size(used)}{f', {then}' if then else ''}"
    return f"--max-disk {format_size(limit)} would be passed: {has}. Resume with a higher --max-disk."


def _cut_short_by(work: Work, plan: AttemptPlan, bounded: AttemptPlan, outcome: AttemptOutcome) -> BudgetReached | None:
    """The budget that ended the attempt before a limit of the template did; None when it was none."""
    if outcome.verdict is Verdict.timed_out and bounded.time_limit < plan.time_limit:
        by_gpu = bounded.time_setting == "--max-gpu-hours"
        return BudgetReached(_gpu_hours_are_used_up(work) if by_gpu else _time_is_up(work))
    if outcome.verdict is Verdict.out_of_disk and bounded.limits.disk < plan.limits.disk:
        return _disk_ran_out(work, bounded.limits.disk)
    return None


def _disk_ran_out(work: Work, left: int) -> BudgetReached:
    """What was left of --max-disk was written full; that output is gone, so what is there now is within it."""
    limit = work.state.budgets.disk
    assert limit is not None  # else nothing was shortened
    return BudgetReached(_disk_is_used_up(limit, limit - left, f"and {format_size(left)} more were not enough"))


def draw(work: Work, plan: PlotPlan) -> PlotOutcome:
    """Draws the plots within what is left. Raises BudgetReached when that is not enough."""
    check_time(work)
    limits = plan.limits
    bounded = replace(limits, time=min(limits.time, time_left(work)), disk=min(limits.disk, disk_left(work)))
    work.session.show("drawing the plots", limit=bounded.time)
    outcome = run_plots(replace(plan, limits=bounded), work.session.output)
    if outcome.verdict is Verdict.timed_out and bounded.time < limits.time:
        raise BudgetReached(_time_is_up(work))
    if outcome.verdict is Verdict.out_of_disk and bounded.disk < limits.disk:
        raise _disk_ran_out(work, bounded.disk)
    return outcome


def _reserve(work: Work, most: Amount) -> None:
    """Raises BudgetReached when what the session shares with others does not allow it."""
    if reason := work.desk.reserve(most):
        raise BudgetReached(reason)
