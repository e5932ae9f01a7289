"""What a session has spent or may have spent: a fold over its journal."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ai_sci.agent.budgets import Amount
from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    CallFailed,
    CallStarted,
    Event,
    Replied,
    Resumed,
    SessionEnded,
)

REPLAYED = ("replay:", "history:")  # models whose replies another session paid for


@dataclass(frozen=True)
class GpuHold:
    """GPUs held by the attempt or baseline in progress."""

    gpus: int
    since: float  # seconds since the epoch
    limit: float  # seconds
    elsewhere: bool = False  # on a cluster, where it outlives our process


@dataclass
class Spent:
    """One session's spending. `unsettled_…` is the worst case of calls whose outcome is unknown."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0  # USD, for all calls with a known price, failed tries included
    unpriced_calls: int = 0
    replayed_tokens: int = 0  # the share of these tokens that another session paid for
    gpu_seconds: float = 0.0  # GPUs times seconds held
    unsettled_cost: float = 0.0
    unsettled_tokens: int = 0
    open_call: CallStarted | None = None  # the try in progress; its reserve counts as unsettled
    gpu_hold: GpuHold | None = None

    def plus(self, other: Spent | None) -> Spent:
        """The sum of both, leaving out calls and attempts in progress."""
        if other is None:
            return self
        counters = [one.name for one in fields(self) if one.name not in ("open_call", "gpu_hold")]
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in counters})

    @property
    def committed(self) -> Amount:
        """What counts against the budgets, spent or possibly spent. Disk is not included: it is measured."""
        tokens = self.prompt_tokens + self.completion_tokens - self.replayed_tokens
        return Amount(self.cost + self.unsettled_cost, tokens + self.unsettled_tokens, self.gpu_seconds)

    def take(self, event: Event, at: float) -> None:
        """Adds one journal event, written `at` seconds since the epoch."""
        match event:
            case CallStarted():
                self.open_call = event
                self.unsettled_cost += event.reserved_cost or 0.0
                self.unsettled_tokens += event.reserved_tokens or 0
            case CallFailed():
                self._charge(event)
                self.unpriced_calls += event.cost is None
            case Replied():
                self._charge(event)
                self.calls += 1
                self.cached_tokens += event.cached_tokens
                self.unpriced_calls += event.cost is None
                if event.model.startswith(REPLAYED):
                    self.replayed_tokens += event.prompt_tokens + event.completion_tokens
            case BaselineStarted():
                self.gpu_hold = GpuHold(event.gpus, at, event.limit)
            case AttemptStarted():
                self.gpu_hold = GpuHold(event.gpus, at, event.limit, elsewhere=event.job != "")
            case BaselineMeasured():
                self.gpu_seconds += event.gpus * event.seconds
                self.gpu_hold = None
            case AttemptFinished():
                unseen = event.verdict == "lost" and event.seconds == 0 and event.begun
                self._let_go(at, None if unseen else event.seconds)
            case SessionEnded() | Resumed():
                if self.gpu_hold is not None and not self.gpu_hold.elsewhere:
                    self._let_go(at, None)
                if isinstance(event, Resumed):
                    self.open_call = None  # its outcome is unknown: it stays unsettled

    def _charge(self, event: Replied | CallFailed) -> None:
        """Replaces the reserve of the open call with its actual cost."""
        if self.open_call is not None:
            self.unsettled_cost = max(0.0, self.unsettled_cost - (self.open_call.reserved_cost or 0.0))
            self.unsettled_tokens -= self.open_call.reserved_tokens or 0
            self.open_call = None
        self.prompt_tokens += event.prompt_tokens
        self.completion_tokens += event.completion_tokens
        self.cost += event.cost or 0.0

    def _let_go(self, at: float, seconds: float | None) -> None:
        """Releases the GPUs, held for `seconds` or, if None, from the attempt's start until `at`."""
        hold = self.gpu_hold
        if hold is None:
            return
        held = min(hold.limit, max(0.0, at - hold.since)) if seconds is None else seconds
        self.gpu_seconds += hold.gpus * held
        self.gpu_hold = None
