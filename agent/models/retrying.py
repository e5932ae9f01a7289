"""The one retry loop: reports a failed try, waits, and retries while the failure is a retriable one."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from ai_sci.agent.models.errors import TryFailed
from ai_sci.agent.models.reply import CallFailure
from ai_sci.experiment.base import format_duration, seconds_in

if TYPE_CHECKING:
    from tenacity import RetryCallState

_LONG = 300.0  # seconds; a longer wait is told by the clock
_NAP = 30.0

T = TypeVar("T")
BeforeTry = Callable[[], float]


def unlimited() -> float:
    """A `before_try` that allows every try, without a time limit."""
    return math.inf


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff in seconds, with jitter; a time that the server names takes precedence.

    `patience` (`--wait`) is for such times alone, added up over the tries of a call; `total` is for everything else.
    `first_contact` is the number of tries while no server has answered yet: a wrong port or a missing network should
    not take minutes to report.
    """

    tries: int = 8
    first_wait: float = 2.0
    max_wait: float = 60.0
    patience: float = 3600.0
    total: float = 3600.0
    first_contact: int = 3

    def scaled(self, factor: float) -> RetryPolicy:
        """The same policy with its own waits scaled; what a server may ask for stays."""
        return replace(self, first_wait=self.first_wait * factor, max_wait=self.max_wait * factor)

    @classmethod
    def from_environment(cls) -> RetryPolicy:
        """The defaults; `AI_SCI_RETRY_WAIT` is the first wait in seconds, and the longest scales with it."""
        policy = cls()
        first = seconds_in("AI_SCI_RETRY_WAIT")
        return policy if first is None else policy.scaled(first / policy.first_wait)

    def allowed(self, error: TryFailed, reached: bool) -> int:
        """How many tries a call gets when it fails like this; `reached`: a server has answered before."""
        unreached = error.failure.kind == "connection" and not reached
        return min(self.tries, self.first_contact) if unreached else self.tries

    def wait(self, error: TryFailed, failures: int) -> float:
        """Seconds to wait after so many failures; jitter keeps the sessions of a batch from retrying in step."""
        if error.wait is not None:
            return error.wait + random.uniform(0.0, 0.1 * self.first_wait)
        return min(self.max_wait, self.first_wait * 2 ** (failures - 1)) * random.uniform(0.75, 1.25)


def until_answered(
    attempt: Callable[[float], T],
    policy: RetryPolicy,
    before_try: BeforeTry,
    on_failure: Callable[[CallFailure], None],
    reached: Callable[[], bool],
) -> T:
    """What `attempt` returns; raises the last TryFailed. `on_failure` gets every failed try with the wait after it.

    `before_try` returns the seconds left, which are passed to `attempt` and bound the wait after it. `reached` tells
    whether a server has ever answered. Any other exception of `attempt` propagates at once.
    """
    import tenacity

    deadline = math.inf
    asked = 0.0  # seconds waited because the server said so

    def one() -> T:
        nonlocal deadline
        seconds = before_try()
        deadline = time.monotonic() + seconds
        return attempt(seconds)

    def wait(state: RetryCallState) -> float:
        return min(policy.wait(_error(state), state.attempt_number), max(0.0, deadline - time.monotonic()))

    def last(state: RetryCallState) -> bool:
        error = _error(state)
        if error.wait is not None:
            too_long = asked + error.wait > policy.patience or error.wait > max(_LONG, deadline - time.monotonic())
        else:
            too_long = (state.seconds_since_start or 0.0) - asked + state.upcoming_sleep > policy.total
        return too_long or state.attempt_number >= policy.allowed(error, reached())

    def tell(state: RetryCallState) -> None:
        nonlocal asked
        error = _error(state)
        seconds = state.upcoming_sleep
        asked += seconds if error.wait is not None else 0.0
        allowed = policy.allowed(error, reached())
        on_failure(_told(error.failure, f"try {state.attempt_number + 1} of {allowed} {_short(seconds)}", seconds))

    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TryFailed) and error.retry),
            stop=last,
            wait=wait,
            before_sleep=tell,
            sleep=_sleep,
            reraise=True,
        )(one)
    except TryFailed as error:
        if error.retry:
            error.failure = _told(error.failure, f"no further try{_when_to_resume(error.wait)}", None)
        on_failure(error.failure)
        raise


def _error(state: RetryCallState) -> TryFailed:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TryFailed)  # nothing else is retried
    return error


def _told(failure: CallFailure, what_next: str, seconds: float | None) -> CallFailure:
    return replace(failure, message=f"{failure.message.rstrip('.')}; {what_next}", retry_in=seconds)


def _short(seconds: float) -> str:
    if seconds < 0.05:
        return "at once"
    if seconds >= _LONG:
        return f"at {_clock(seconds)} (in {format_duration(seconds)})"
    return f"in {seconds:.0f} s" if seconds >= 10 else f"in {seconds:.1f} s"


def _when_to_resume(wait: float | None) -> str:
    if wait is None or wait < _LONG:
        return ""
    hours = math.ceil(wait / 3600)
    when = f"{_clock(wait)} (in {format_duration(wait)})"
    return f": the server takes requests again at {when}: resume then, or with --wait {hours}h"


def _clock(seconds: float) -> str:
    """The local time in so many seconds, with the date unless that is today."""
    now = time.time()
    then = time.localtime(now + seconds)
    today = then[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", then)


def _sleep(seconds: float) -> None:
    """Sleeps by a clock that goes on while the machine is suspended, as a laptop is overnight."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    end = time.clock_gettime(clock) + seconds
    while (left := end - time.clock_gettime(clock)) > 0:
        time.sleep(min(left, _NAP))
