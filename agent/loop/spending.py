"""Nothing is spent before it is set aside: money and tokens before each try of a call, GPU-seconds and disk before an
attempt. What the session's own budgets allow is asked of its journal, what it shares with others of the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ai_sci.agent.budgets import BATCH_TIME_IS_UP, Amount, BudgetReached
from ai_sci.agent.journal import CallFailed, CallStarted
from ai_sci.agent.models import CallFailure
from ai_sci.experiment.attempt import (
    AttemptLaunch,
    AttemptOutcome,
    AttemptPlan,
    PlotOutcome,
    PlotPlan,
    measure_disk,
    run_plots,
)
from ai_sci.experiment.base import Verdict, format_duration, format_size

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message
    from ai_sci.agent.loop.session_context import SessionContext
    from ai_sci.agent.models import Reply

_SHORTEST = 1.0  # seconds of an attempt: with less left it is not begun
_NO_LIMIT = 2**63 - 1
_ROUNDED_DOWN = 1 - 1e-9  # else what is asked for may be a rounding error more than what is left


# --- time -------------------------------------------------------------------------------------------------------------


def time_left(context: SessionContext) -> float:
    """Seconds; infinite without a limit."""
    return min(context.session.time_left(), context.broker.time_left())


def check_time(context: SessionContext) -> None:
    if time_left(context) <= 0:
        raise BudgetReached(_time_is_up(context))


def _time_is_up(context: SessionContext) -> str:
    limit = context.state.budgets.time
    if limit is None or context.broker.time_left() < context.session.time_left():
        return BATCH_TIME_IS_UP
    option = f"{context.broker.own}time"
    return f"{format_duration(limit)} of {option} are used up. Resume with a higher {option}."


# --- calls ------------------------------------------------------------------------------------------------------------


class BudgetedCall:
    """One call to the model: each of its tries is set aside for before it is sent, and settled when its end is known.

    What is neither answered nor failed (Ctrl-C, a kill) stays as it is: it may have been charged.
    """

    def __init__(self, context: SessionContext, messages: Sequence[Message]) -> None:
        self._context = context
        self._cost = context.editor.worst_case_cost(messages)
        self._tokens = context.editor.worst_case_tokens(messages, context.state.context_window)
        self._worst_case = Amount(self._cost or 0.0, self._tokens or 0)
        self._open = False

    def before_try(self) -> float:
        """Seconds that the try may take. Raises BudgetReached."""
        context, worst_case = self._context, self._worst_case
        check_time(context)
        _check_call(context, worst_case)
        if reason := context.broker.reserve(worst_case):
            raise BudgetReached(reason)
        self._open = True
        if self._cost is None or self._cost > 0:
            context.session.record(CallStarted(self._cost, self._tokens))
        return time_left(context)

    def failed(self, failure: CallFailure) -> None:
        """Records a failed try; one that the clock cut short may have been charged whole."""
        prompt, completion, cost = failure.usage.prompt_tokens, failure.usage.completion_tokens, failure.cost
        if failure.kind == "out_of_time":
            cost = self._cost
            completion = max(completion, (self._tokens or 0) - prompt)
        self._context.session.record(
            CallFailed(failure.status, failure.kind, failure.message, failure.retry_in, prompt, completion, cost)
        )
        self._settle(Amount(cost or 0.0, prompt + completion))

    def answered(self, reply: Reply) -> None:
        """The reply is in the journal."""
        self._settle(Amount(reply.cost or 0.0, reply.usage.prompt_tokens + reply.usage.completion_tokens))

    def out_of_time(self) -> BudgetReached:
        return BudgetReached(_time_is_up(self._context))

    def _settle(self, spent: Amount) -> None:
        if self._open:  # a script that is used up fails without a try
            self._context.broker.settle(self._worst_case, spent)
            self._open = False


def _check_call(context: SessionContext, worst_case: Amount) -> None:
    budgets, spent, own = context.state.budgets, context.state.spent, context.broker.own
    so_far = spent.committed
    if budgets.cost is not None and so_far.cost + worst_case.cost > budgets.cost:
        unsettled = f" (up to {spent.unsettled_cost:.4f} of it unsettled)" if spent.unsettled_cost > 0 else ""
        raise BudgetReached(
            f"{own}cost {budgets.cost:g} USD would be passed: {so_far.cost:.4f} spent{unsettled}, "
            f"the next call may cost {worst_case.cost:.4f}. Resume with a higher {own}cost."
        )
    if budgets.tokens is not None and so_far.tokens + worst_case.tokens > budgets.tokens:
        unsettled = f" (up to {spent.unsettled_tokens} of them unsettled)" if spent.unsettled_tokens > 0 else ""
        raise BudgetReached(
            f"{own}tokens {budgets.tokens} would be passed: {so_far.tokens} spent{unsettled}, "
            f"the next call may take {worst_case.tokens}. Resume with a higher {own}tokens."
        )


# --- attempts ---------------------------------------------------------------------------------------------------------


def execute(
    context: SessionContext, plan: AttemptPlan, on_launch: Callable[[AttemptLaunch, AttemptPlan], None]
) -> tuple[AttemptOutcome, BudgetReached | None]:
    """Executes the attempt within what is left of the budgets; with its outcome goes the budget that cut it short.

    `on_launch` also gets the plan as it is executed. Raises BudgetReached when there is nothing left to begin it with,
    and what the engine raises.
    """
    bounds, worst_case = _set_aside(context, plan)
    gpus = context.broker.gpus_for(plan)
    began: list[tuple[float, int]] = []

    def begins(one: AttemptLaunch) -> None:
        nonlocal bounds
        if one.time_left < bounds.plan.limits.time:  # others' experiments have used the time for which it waited
            limits = replace(bounds.plan.limits, time=one.time_left)
            bounds = replace(bounds, plan=replace(bounds.plan, limits=limits), time_reason=BATCH_TIME_IS_UP)
        held = one.gpus or gpus
        began.append((time.monotonic(), held))
        on_launch(replace(one, gpus=held), bounds.plan)

    seconds: float | None = None
    try:
        outcome = context.engine.run(bounds.plan, begins, context.session.output)
        seconds = outcome.seconds  # a job has begun when it was submitted, and may have been in the queue since
    finally:  # however it ended, it has ended
        held = sum(gpus * (time.monotonic() - since if seconds is None else seconds) for since, gpus in began)
        context.broker.settle(worst_case, Amount(gpu_seconds=held, disk=measure_disk([plan.folder, plan.out_dir])[0]))
    if outcome.verdict is Verdict.timed_out and bounds.plan.time_limit < plan.time_limit:
        return outcome, BudgetReached(bounds.time_reason)
    if outcome.verdict is Verdict.out_of_disk and bounds.plan.limits.disk < plan.limits.disk:
        return outcome, BudgetReached(bounds.disk_reason)
    return outcome, None


@dataclass(frozen=True)
class _Bounds:
    """An attempt within what is left, and what to say if that was not enough."""

    plan: AttemptPlan
    time_reason: str
    disk_reason: str


def _set_aside(context: SessionContext, plan: AttemptPlan) -> tuple[_Bounds, Amount]:
    """What others spend while we ask leaves less: then less is asked for. Raises BudgetReached."""
    refused = None
    while True:
        bounds = _bounds(context, plan)
        seconds = context.broker.gpus_for(plan) * bounds.plan.time_limit
        worst_case = Amount(gpu_seconds=seconds, disk=bounds.plan.limits.disk)
        reason = context.broker.reserve(worst_case)
        if reason is None:
            return bounds, worst_case
        if worst_case == refused:
            raise BudgetReached(reason)
        refused = worst_case


def _bounds(context: SessionContext, plan: AttemptPlan) -> _Bounds:
    """Raises BudgetReached when nothing is left."""
    check_time(context)
    times = [(max(_SHORTEST, time_left(context)), "--max-time", _time_is_up(context)), *_gpu_times(context, plan)]
    seconds, setting, time_reason = min(times)
    disk, disk_reason = _disk_left(context)
    limits = replace(plan.limits, time=min(plan.limits.time, seconds), disk=min(plan.limits.disk, disk))
    if seconds >= plan.limits.time:
        setting = plan.time_setting
    return _Bounds(replace(plan, limits=limits, time_setting=setting), time_reason, disk_reason)


def _gpu_times(context: SessionContext, plan: AttemptPlan) -> list[tuple[float, str, str]]:
    """For how many seconds the attempt may hold its GPUs, the option that says so, and what to say when they are over.

    Raises BudgetReached when there are too few to begin.
    """
    gpus, limit, shared = (
        context.broker.gpus_for(plan),
        context.state.budgets.gpu_hours,
        context.broker.left().gpu_hours,
    )
    found: list[tuple[float, str]] = []
    if gpus and limit is not None:
        ours = 3600 * limit - context.state.spent.committed.gpu_seconds
        option = f"{context.broker.own}gpu-hours"
        found.append((ours / gpus, f"{limit:g} of {option} are used up. Resume with a higher {option}."))
    if gpus and shared is not None:
        reason = "--max-gpu-hours of the batch are used up. Resume the batch with a higher --max-gpu-hours."
        found.append((3600 * shared * _ROUNDED_DOWN / gpus, reason))
    for seconds, reason in found:
        if seconds < _SHORTEST:
            raise BudgetReached(reason)
    return [(seconds, "--max-gpu-hours", reason) for seconds, reason in found]


def _disk_left(context: SessionContext) -> tuple[int, str]:
    """Bytes that may still be written, and what to say when that was not enough. Raises BudgetReached at none."""
    limit, shared = context.state.budgets.disk, context.broker.left().disk
    found: list[tuple[int, str]] = []
    if limit is not None:
        used = measure_disk([context.session.folder])[0]
        option = f"{context.broker.own}disk"
        has = f"{option} {format_size(limit)} would be passed: the session's folder has {format_size(used)}"
        found.append((limit - used, f"{has}. Resume with a higher {option}."))
    if shared is not None:
        has = f"--max-disk of the batch would be passed: {format_size(shared)} of it are left"
        found.append((shared, f"{has}. Resume the batch with a higher --max-disk."))
    if not found:
        return _NO_LIMIT, ""
    left, reason = min(found)
    if left <= 0:
        raise BudgetReached(reason)
    return left, reason


def draw(context: SessionContext, plan: PlotPlan) -> PlotOutcome:
    """Draws the plots within what is left. Raises BudgetReached when that is not enough."""
    check_time(context)
    limits, (disk, reason) = plan.limits, _disk_left(context)
    bounded = replace(limits, time=min(limits.time, time_left(context)), disk=min(limits.disk, disk))
    context.session.show("drawing the plots", limit=bounded.time)
    outcome = run_plots(replace(plan, limits=bounded), context.session.output)
    if outcome.verdict is Verdict.timed_out and bounded.time < limits.time:
        raise BudgetReached(_time_is_up(context))
    if outcome.verdict is Verdict.out_of_disk and bounded.disk < limits.disk:
        raise BudgetReached(reason)
    return outcome
