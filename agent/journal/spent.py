"""What a session has spent: a fold over its journal, and what it may have spent without anybody seeing it."""

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

_REPLAYED = ("replay:", "history:")  # models whose tokens the session that is replayed has spent


@dataclass(frozen=True)
class GpuHold:
    """An attempt, or the baseline, that is under way and holds GPUs."""

    gpus: int
    since: float  # seconds since the epoch
    limit: float  # seconds
    elsewhere: bool = False  # on a cluster, where it goes on when nobody works on the session


@dataclass
class Spent:
    """Of one session. `unsettled_…` are the most that calls can have cost of which nobody saw the end."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0  # USD, of the calls whose price is known, tries that broke off among them
    unpriced_calls: int = 0
    replayed_tokens: int = 0  # of these tokens, those that another session has spent
    gpu_seconds: float = 0.0  # GPUs held, times the seconds for which they were
    unsettled_cost: float = 0.0
    unsettled_tokens: int = 0
    open_call: CallStarted | None = None  # a try that is under way, if it was not killed; its most is unsettled
    gpu_hold: GpuHold | None = None

    def plus(self, other: Spent | None) -> Spent:
        """Both together, without what is under way."""
        if other is None:
            return self
        counters = [one.name for one in fields(self) if one.name not in ("open_call", "gpu_hold")]
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in counters})

    @property
    def committed(self) -> Amount:
        """All that counts against the budgets but disk, which is measured: what is spent, or perhaps spent."""
        tokens = self.prompt_tokens + self.completion_tokens - self.replayed_tokens
        return Amount(self.cost + self.unsettled_cost, tokens + self.unsettled_tokens, self.gpu_seconds)

    def take(self, event: Event, at: float) -> None:
        """Counts one more event of the journal, written `at` seconds since the epoch."""
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
                if event.model.startswith(_REPLAYED):
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
                    self.open_call = None  # nobody saw how it ended: it stays unsettled

    def _charge(self, event: Replied | CallFailed) -> None:
        """What a try cost, or may have cost, is known now: nothing is set aside for it any more."""
        if self.open_call is not None:
            self.unsettled_cost = max(0.0, self.unsettled_cost - (self.open_call.reserved_cost or 0.0))
            self.unsettled_tokens -= self.open_call.reserved_tokens or 0
            self.open_call = None
        self.prompt_tokens += event.prompt_tokens
        self.completion_tokens += event.completion_tokens
        self.cost += event.cost or 0.0

    def _let_go(self, at: float, seconds: float | None) -> None:
        """GPUs were held for `seconds`, or else from the beginning of their attempt until `at`: it is not alive now."""
        hold = self.gpu_hold
        if hold is None:
            return
        held = min(hold.limit, max(0.0, at - hold.since)) if seconds is None else seconds
        self.gpu_seconds += hold.gpus * held
        self.gpu_hold = None
