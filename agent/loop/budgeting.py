"""Nothing is spent before it is reserved: money and tokens before each try of a call, GPU-seconds and disk before an
attempt. The session's own budgets are checked against its journal, shared budgets against the broker."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from ai_sci.agent.budgets import Amount, BudgetReached, Limit
from ai_sci.agent.journal import CallFailed, CallStarted
from ai_sci.agent.models import CallFailure
from ai_sci.experiment.attempt import (
    AttemptLaunch,
    AttemptOutcome,
    AttemptPlan,
    OnLaunch,
    PlotOutcome,
    PlotPlan,
    measure_disk,
    run_plots,
)
from ai_sci.experiment.base import Limits, Verdict

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message
    from ai_sci.agent.loop.session_context import SessionContext
    from ai_sci.agent.models import Reply

_SHORTEST = 1.0  # seconds; with less left, no attempt starts
_ROUNDED_DOWN = 1 - 1e-9  # so that rounding never makes us request more than is left


# --- time -------------------------------------------------------------------------------------------------------------


def time_left(context: SessionContext) -> float:
    """Seconds left under the tightest time limit; infinite without one."""
    return min(context.session.time_left(), context.broker.time_left())


def check_time(context: SessionContext) -> None:
    """Raises BudgetReached when none is left."""
    if time_left(context) <= 0:
        _out_of_time(context)


def _out_of_time(context: SessionContext) -> NoReturn:
    limit = _time_limit(context)
    assert limit is not None  # time cannot run out without a limit
    raise BudgetReached(limit.reason())


def _time_limit(context: SessionContext) -> Limit | None:
    """The session's own limit or the shared one, whichever expires first."""
    budgets, left = context.state.budgets, context.session.time_left()
    if context.broker.time_left() < left:
        return context.broker.limits()["time"]
    return budgets.limit("time", budgets.time - left, context.broker.own) if budgets.time is not None else None


# --- calls ------------------------------------------------------------------------------------------------------------


class BudgetedCall:
    """One call to the model: each try reserves its worst case before it is sent, and is settled once its end is known.

    A try that neither succeeds nor fails (Ctrl-C, a kill) stays reserved, since it may have been charged.
    """

    def __init__(self, context: SessionContext, messages: Sequence[Message]) -> None:
        self._context = context
        self._cost = context.editor.worst_case_cost(messages)
        self._tokens = context.editor.worst_case_tokens(messages, context.state.context_window)
        self._worst_case = Amount(self._cost or 0.0, self._tokens or 0)
        self._open = False

    def before_try(self) -> float:
        """Reserves the worst case; returns the seconds that the try may take. Raises BudgetReached."""
        context, worst_case = self._context, self._worst_case
        check_time(context)
        _check_call(context, worst_case)
        context.broker.reserve(worst_case)
        self._open = True
        if self._cost is None or self._cost > 0:
            context.session.record(CallStarted(self._cost, self._tokens))
        return time_left(context)

    def failed(self, failure: CallFailure) -> None:
        """Records a failed try. One cut short by the time limit counts in full, since it may have been charged."""
        prompt, completion, cost = failure.usage.prompt_tokens, failure.usage.completion_tokens, failure.cost
        if failure.kind == "out_of_time":
            cost = self._cost
            completion = max(completion, (self._tokens or 0) - prompt)
        self._context.session.record(
            CallFailed(failure.status, failure.kind, failure.message, failure.retry_in, prompt, completion, cost)
        )
        self._settle(Amount(cost or 0.0, prompt + completion))

    def answered(self, reply: Reply) -> None:
        """Settles the call. Called once the reply is in the journal."""
        self._settle(Amount(reply.cost or 0.0, reply.usage.prompt_tokens + reply.usage.completion_tokens))

    def out_of_time(self) -> NoReturn:
        """Raises BudgetReached: the time limit cut the call short."""
        _out_of_time(self._context)

    def _settle(self, spent: Amount) -> None:
        if self._open:  # an exhausted script fails without a try
            self._context.broker.settle(self._worst_case, spent)
            self._open = False


def _check_call(context: SessionContext, worst_case: Amount) -> None:
    spent, own = context.state.spent, context.broker.own
    unsettled = {"cost": spent.unsettled_cost, "tokens": spent.unsettled_tokens}
    for name, part in unsettled.items():
        used = getattr(spent.committed, name)
        if limit := context.state.budgets.limit(name, used, own, unsettled=part):
            limit.check(getattr(worst_case, name))


# --- attempts ---------------------------------------------------------------------------------------------------------


class AttemptCutShort(BudgetReached):
    """A budget ended a running attempt; `outcome` is what it produced."""

    def __init__(self, reason: str, outcome: AttemptOutcome) -> None:
        super().__init__(reason)
        self.outcome = outcome


def execute(context: SessionContext, plan: AttemptPlan, on_launch: OnLaunch) -> AttemptOutcome:
    """Executes the attempt within the remaining budgets.

    Raises AttemptCutShort when they run out on the way, BudgetReached when too little is left to start, and what the
    engine raises.
    """
    bounds, worst_case = _reserve(context, plan)
    gpus = context.broker.gpus_for(plan)
    launched: list[tuple[float, AttemptLaunch]] = []

    def begins(launch: AttemptLaunch) -> None:
        launch = replace(launch, gpus=launch.gpus or gpus)
        launched.append((time.monotonic(), launch))
        on_launch(launch)

    seconds: float | None = None
    try:
        outcome = context.engine.run(bounds.plan, begins, context.session.output)
        seconds = (
            outcome.seconds
        )  # on_launch is called when a job is submitted, so our own clock would count its time in the queue
    finally:
        held = sum(one.gpus * (time.monotonic() - at if seconds is None else seconds) for at, one in launched)
        context.broker.settle(worst_case, Amount(gpu_seconds=held, disk=measure_disk([plan.folder, plan.out_dir])[0]))
    executed = launched[-1][1].plan if launched else bounds.plan
    if outcome.verdict is Verdict.timed_out and executed.time_limit < plan.time_limit:
        # It waited for a slot, and other sessions' experiments may have used up the time meanwhile.
        waited = executed.time_limit < bounds.plan.time_limit
        limit = context.broker.limits().get("time") if waited else bounds.time
    elif outcome.verdict is Verdict.out_of_disk and executed.limits.disk < plan.limits.disk:
        limit = bounds.disk
    else:
        limit = None
    if limit is None:
        return outcome
    raise AttemptCutShort(limit.reason(), outcome)


@dataclass(frozen=True)
class _Bounds:
    """An attempt trimmed to the remaining budgets, and the limits that bind it."""

    plan: AttemptPlan
    time: Limit | None
    disk: Limit | None


def _reserve(context: SessionContext, plan: AttemptPlan) -> tuple[_Bounds, Amount]:
    """Retries with less when other sessions reserve some of it first. Raises BudgetReached."""
    refused = None
    while True:
        bounds = _bounds(context, plan)
        seconds = context.broker.gpus_for(plan) * bounds.plan.time_limit
        worst_case = Amount(gpu_seconds=seconds, disk=bounds.plan.limits.disk)
        try:
            context.broker.reserve(worst_case)
        except BudgetReached:
            if worst_case == refused:
                raise
            refused = worst_case
        else:
            return bounds, worst_case


def _bounds(context: SessionContext, plan: AttemptPlan) -> _Bounds:
    """Raises BudgetReached when nothing is left."""
    check_time(context)
    times = [(max(_SHORTEST, limit.left), limit) for limit in (_time_limit(context),) if limit]
    shared, gpus = context.broker.limits(), context.broker.gpus_for(plan)
    if gpus:
        held = context.state.spent.committed.gpu_seconds
        own = context.state.budgets.limit("gpu_seconds", held, context.broker.own)
        for limit in (own, shared.get("gpu_seconds")):
            if limit:
                limit.check(gpus * _SHORTEST)
                times.append((limit.left * _ROUNDED_DOWN / gpus, limit))
    seconds, time_limit = min(times, key=lambda one: one[0], default=(math.inf, None))
    disk = _disk_limit(context)
    limits = _within(plan.limits, seconds, disk)
    setting = time_limit.option if time_limit and seconds < plan.limits.time else plan.time_setting
    return _Bounds(replace(plan, limits=limits, time_setting=setting), time_limit, disk)


def _disk_limit(context: SessionContext) -> Limit | None:
    """The session's own limit or the shared one, whichever has less left. Raises BudgetReached when nothing is."""
    budgets = context.state.budgets
    used = 0 if budgets.disk is None else measure_disk([context.session.folder])[0]
    limits = (budgets.limit("disk", used, context.broker.own), context.broker.limits().get("disk"))
    least = min(filter(None, limits), key=lambda limit: limit.left, default=None)
    if least:
        least.check()
    return least


def _within(limits: Limits, seconds: float, disk: Limit | None) -> Limits:
    most = limits.disk if disk is None else int(disk.left)
    return replace(limits, time=min(limits.time, seconds), disk=min(limits.disk, most))


def draw(context: SessionContext, plan: PlotPlan) -> PlotOutcome:
    """Draws the plots within the remaining budgets. Raises BudgetReached when they run out."""
    check_time(context)
    limits, disk = plan.limits, _disk_limit(context)
    bounded = _within(limits, time_left(context), disk)
    context.session.show("drawing the plots", limit=bounded.time)
    outcome = run_plots(replace(plan, limits=bounded), context.session.output)
    if outcome.verdict is Verdict.timed_out and bounded.time < limits.time:
        _out_of_time(context)
    if outcome.verdict is Verdict.out_of_disk and disk and bounded.disk < limits.disk:
        raise BudgetReached(disk.reason())
    return outcome
