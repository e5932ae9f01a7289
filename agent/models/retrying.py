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
from ai_sci.experiment.base import seconds_in

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
BeforeTry = Callable[[], float]


def unlimited() -> float:
    """A `before_try` that allows every try, without a time limit."""
    return math.inf


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff in seconds, with jitter; a server's Retry-After takes precedence.

    `first_contact` is the number of tries while no server has answered yet: a wrong port or a missing network should
    not take minutes to report.
    """

    tries: int = 8
    first_wait: float = 2.0
    max_wait: float = 60.0
    max_retry_after: float = 300.0
    total: float = 3600.0
    first_contact: int = 3

    def scaled(self, factor: float) -> RetryPolicy:
        """The same policy with its own waits scaled; the limit on Retry-After stays."""
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
            return min(error.wait, self.max_retry_after) + random.uniform(0.0, 0.1 * self.first_wait)
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

    def one() -> T:
        nonlocal deadline
        seconds = before_try()
        deadline = time.monotonic() + seconds
        return attempt(seconds)

    def wait(state: RetryCallState) -> float:
        return min(policy.wait(_error(state), state.attempt_number), max(0.0, deadline - time.monotonic()))

    def last(state: RetryCallState) -> bool:
        error = _error(state)
        too_long = (state.seconds_since_start or 0.0) + state.upcoming_sleep > policy.total
        return too_long or state.attempt_number >= policy.allowed(error, reached())

    def tell(state: RetryCallState) -> None:
        error = _error(state)
        seconds = state.upcoming_sleep
        allowed = policy.allowed(error, reached())
        on_failure(_told(error.failure, f"try {state.attempt_number + 1} of {allowed} {_short(seconds)}", seconds))

    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TryFailed) and error.retry),
            stop=last,
            wait=wait,
            before_sleep=tell,
            reraise=True,
        )(one)
    except TryFailed as error:
        if error.retry:
            error.failure = _told(error.failure, "no further try", None)
        on_failure(error.failure)
        raise


def _error(state: RetryCallState) -> TryFailed:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TryFailed)  # nothing else is retried
    return error


def _told(failure: CallFailure, what_next: str, seconds: float | None) -> CallFailure:
    return replace(failure, message=f"{failure.message}; {what_next}", retry_in=seconds)


def _short(seconds: float) -> str:
    if seconds < 0.05:
        return "at once"
    return f"in {seconds:.0f} s" if seconds >= 10 else f"in {seconds:.1f} s"
