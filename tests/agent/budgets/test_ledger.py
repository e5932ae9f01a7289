"""The ledger of a batch under any order of reserving, settling, dying and resuming, with 32 sessions at once."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.budgets.broker import Amount, Budgets
from ai_sci.agent.budgets.ledger import Granted, Ledger, Refusal, Wait

SESSIONS = [f"session {number}" for number in range(32)]
CENT = Amount(cost=0.25)
WAYS = {"cost": "cost", "tokens": "tokens", "gpu_seconds": "gpu_hours", "disk": "disk"}


def test_what_fits_is_set_aside_and_what_others_hold_is_waited_for():
    ledger = Ledger(Budgets(cost=0.5))
    assert ledger.reserve("a", CENT) == Granted()
    assert ledger.reserve("b", CENT) == Granted()
    assert ledger.reserve("c", CENT) == Wait()
    ledger.settle("a", CENT, Amount(cost=0.125))
    assert ledger.answers() == [], "an eighth is spent, a quarter set aside: a quarter more is too much"
    ledger.settle("b", CENT, Amount(cost=0.125))
    assert ledger.answers() == [("c", Granted())]
    assert ledger.waiting == []


def test_a_refusal_names_the_option_and_stands_whatever_others_do():
    ledger = Ledger(Budgets(cost=0.5, tokens=1000))
    answer = ledger.reserve("a", Amount(cost=0.1, tokens=1001))
    assert isinstance(answer, Refusal)
    assert "--max-tokens 1000 of the batch" in answer.reason and "Resume the batch" in answer.reason
    assert ledger.reserved == Amount(), "nothing of it is set aside"


def test_one_that_waits_is_refused_once_the_others_have_spent_it():
    ledger = Ledger(Budgets(cost=0.5))
    ledger.reserve("a", Amount(cost=0.5))
    assert ledger.reserve("b", CENT) == Wait()
    ledger.settle("a", Amount(cost=0.5), Amount(cost=0.5))
    [(holder, answer)] = ledger.answers()
    assert holder == "b" and isinstance(answer, Refusal)


def test_a_large_amount_that_waits_is_not_overtaken_by_small_ones():
    ledger = Ledger(Budgets(cost=1.0))
    for holder in ("a", "b"):
        assert ledger.reserve(holder, CENT) == Granted()
    assert ledger.reserve("large", Amount(cost=1.0)) == Wait()
    assert ledger.reserve("small", CENT) == Wait(), "it would fit, but the large one asked first"
    ledger.settle("a", CENT, Amount())
    assert ledger.answers() == []
    ledger.settle("b", CENT, Amount())
    assert ledger.answers() == [("large", Granted())]
    ledger.settle("large", Amount(cost=1.0), CENT)
    assert ledger.answers() == [("small", Granted())]


def test_who_needs_no_money_does_not_wait_for_those_who_do():
    ledger = Ledger(Budgets(cost=0.25, gpu_hours=1.0))
    ledger.reserve("a", CENT)
    assert ledger.reserve("b", Amount(cost=0.125)) == Wait()
    assert ledger.reserve("c", Amount(gpu_seconds=60.0)) == Granted()
    assert ledger.reserve("d", Amount(disk=10**12, tokens=10**9)) == Granted(), "those have no limit"


def test_what_costs_nothing_is_never_refused():
    ledger = Ledger(Budgets(cost=0.25), {"a": Amount(cost=0.5)})
    assert ledger.reserve("b", Amount(tokens=5000)) == Granted()


def test_what_is_left_is_what_nobody_has_spent():
    ledger = Ledger(Budgets(cost=1.0, gpu_hours=2.0), {"a": Amount(cost=0.25, gpu_seconds=3600.0, tokens=7)})
    ledger.reserve("b", CENT)
    assert {name: limit.left for name, limit in ledger.limits.items()} == {"cost": 0.75, "gpu_seconds": 3600.0}
    overspent = Ledger(Budgets(disk=5, tokens=5), {"a": Amount(disk=7)})
    assert {name: limit.left for name, limit in overspent.limits.items()} == {"tokens": 5, "disk": 0}


def test_a_holder_does_not_wait_for_itself():
    ledger = Ledger(Budgets(cost=0.5))
    assert ledger.reserve("a", Amount(cost=0.5)) == Granted()
    assert isinstance(ledger.reserve("a", CENT), Refusal)


def test_what_a_dead_holder_had_set_aside_stays_counted():
    ledger = Ledger(Budgets(cost=1.0, gpu_hours=1.0))
    ledger.reserve("a", Amount(cost=0.75, gpu_seconds=3600.0))
    assert ledger.reserve("b", CENT) == Granted()
    assert ledger.reserve("c", CENT) == Wait()
    assert ledger.reserve("d", CENT) == Wait()
    ledger.abandon("c")
    ledger.abandon("a", gpu_seconds=600.0)
    assert ledger.accounts["a"].unsettled == Amount(cost=0.75, gpu_seconds=600.0)
    assert ledger.answers() == [], "the last quarter is set aside for b, who may not need it"
    ledger.settle("b", CENT, CENT)
    [(holder, answer)] = ledger.answers()
    assert holder == "d" and isinstance(answer, Refusal)


def test_a_settlement_that_nobody_reserved_counts_all_the_same():
    ledger = Ledger(Budgets(cost=1.0))
    ledger.settle("a", CENT, CENT)
    ledger.abandon("never seen")
    assert ledger.committed == CENT


@pytest.mark.parametrize("way", WAYS)
def test_each_budget_is_kept_by_itself(way):
    hour = Budgets(cost=3600.0, tokens=3600, gpu_hours=1.0, disk=3600)
    ledger = Ledger(replace(Budgets(), **{WAYS[way]: getattr(hour, WAYS[way])}))
    assert ledger.reserve("a", Amount(**{way: 3600})) == Granted()
    assert ledger.reserve("b", Amount(**{way: 1})) == Wait()
    ledger.settle("a", Amount(**{way: 3600}), Amount(**{way: 3600}))
    assert isinstance(ledger.answers()[0][1], Refusal)


# --- any order ------------------------------------------------------------------------------------------------------

# Whole numbers of cents and the like: sums are exact, and an overshoot of one would be seen.
amounts = st.builds(
    Amount,
    cost=st.integers(0, 40).map(float),
    tokens=st.integers(0, 4000),
    gpu_seconds=st.integers(0, 7200).map(float),
    disk=st.integers(0, 500),
)
limits = st.builds(
    Budgets,
    cost=st.none() | st.integers(0, 200).map(float),
    tokens=st.none() | st.integers(0, 20_000),
    gpu_hours=st.none() | st.integers(0, 8).map(float),
    disk=st.none() | st.integers(0, 2000),
)


@dataclass
class Batch:
    """32 sessions that reserve, spend, die and are resumed in the order that `random` gives. What the providers really
    charged is kept beside the ledger, which does not know it of the calls that a death cut off."""

    ledger: Ledger
    budgets: Budgets
    chance: random.Random
    honest: bool  # nobody spends more than was set aside
    worst_case: list[Amount]
    open: dict[str, Amount] = field(default_factory=dict)
    asking: dict[str, Amount] = field(default_factory=dict)
    charged: dict[str, Amount] = field(default_factory=dict)
    counted: dict[str, Amount] = field(default_factory=dict)  # what the sessions' journals would say
    beyond: list[Amount] = field(default_factory=list)  # what was spent on top of a reservation
    refused: set[str] = field(default_factory=set)
    granted: list[str] = field(default_factory=list)

    def step(self) -> None:
        holder = self.chance.choice(SESSIONS)
        if holder in self.refused:
            return
        if holder in self.open:
            self.die(holder) if self.chance.random() < 0.15 else self.settle(holder)
        elif holder in self.asking:
            if self.chance.random() < 0.1:
                self.asking.pop(holder)
                self.ledger.abandon(holder)
        else:
            self.ask(holder)
        if self.chance.random() < 0.03:
            self.kill_the_batch()
        self.hear()
        self.check()

    def ask(self, holder: str) -> None:
        worst_case = self.chance.choice(self.worst_case)
        earlier = dict(self.asking)
        self.take(holder, worst_case, self.ledger.reserve(holder, worst_case), earlier)

    def take(self, holder: str, worst_case: Amount, answer: object, earlier: dict[str, Amount]) -> None:
        if isinstance(answer, Granted):
            rivals = [one for one, other in earlier.items() if self.shares(worst_case, other)]
            assert not rivals, f"{holder} overtook {rivals}"
            self.open[holder] = worst_case
            self.granted.append(holder)
        elif isinstance(answer, Refusal):
            assert self.exceeds(self.total(self.counted) + worst_case), "refused though it fits"
            self.refused.add(holder)
        else:
            assert self.asking or self.open, "told to wait with nobody to wait for"
            assert not self.exceeds(self.total(self.counted) + worst_case), "told to wait for what will never be"
            self.asking[holder] = worst_case

    def hear(self) -> None:
        for holder, answer in self.ledger.answers():
            worst_case = self.asking[holder]
            earlier = {}
            for other, amount in self.asking.items():
                if other == holder:
                    break
                earlier[other] = amount
            del self.asking[holder]
            self.take(holder, worst_case, answer, earlier)

    def spend(self, worst_case: Amount) -> Amount:
        share = self.chance.choice([0.0, 0.25, 0.5, 1.0] if self.honest else [0.5, 1.0, 1.5])
        return Amount(
            worst_case.cost * share,
            int(worst_case.tokens * share),
            worst_case.gpu_seconds * share,
            int(worst_case.disk * share),
        )

    def settle(self, holder: str) -> None:
        worst_case = self.open.pop(holder)
        spent = self.spend(worst_case)
        self.beyond.append(spent - worst_case)
        self.add(self.charged, holder, spent)
        self.add(self.counted, holder, spent)
        self.ledger.settle(holder, worst_case, spent)

    def die(self, holder: str) -> None:
        """In the middle of it: the provider charges something, nobody here learns what; its most is counted."""
        worst_case = self.open.pop(holder)
        self.add(
            self.charged, holder, Amount(worst_case.cost * self.chance.choice([0.0, 0.5, 1.0]), worst_case.tokens // 2)
        )
        self.add(self.counted, holder, worst_case)
        self.ledger.abandon(holder)

    def kill_the_batch(self) -> None:
        """All of its sessions die with it; a new ledger is made from what their journals say."""
        before = self.ledger.committed + self.ledger.reserved
        for holder in list(self.open):
            self.die(holder)
        self.asking.clear()
        if self.refused and self.chance.random() < 0.5:
            self.refused.clear()
            self.budgets = replace(self.budgets, **{way: 2 * limit + 10 for way, limit in self.given()})
        self.ledger = Ledger(self.budgets, dict(self.counted))
        assert self.ledger.committed == before, "lost on resume"

    def check(self) -> None:
        ledger = self.ledger
        assert ledger.committed == self.total(self.counted)
        assert ledger.reserved == self.total(self.open)
        assert ledger.waiting == list(self.asking)
        for way, limit in self.ways():
            charged = getattr(self.total(self.charged), way)
            excess = sum(max(0, getattr(one, way)) for one in self.beyond)
            allowed = limit if self.honest else limit + excess
            assert charged <= allowed, f"{way}: {charged} of {limit}"
            if self.honest:
                assert getattr(ledger.committed + ledger.reserved, way) <= limit

    def finish(self) -> None:
        """Everybody settles, and then nobody is waiting any more."""
        for _ in range(10_000):
            self.hear()
            if not self.open:
                break
            self.settle(next(iter(self.open)))
        assert not self.asking, "somebody waits for ever"

    def given(self) -> list[tuple[str, float]]:
        return [(name, limit) for name, limit in asdict(self.budgets).items() if limit is not None]

    def ways(self) -> list[tuple[str, float]]:
        given, seconds = dict(self.given()), {"gpu_hours": 3600}
        return [(way, given[name] * seconds.get(name, 1)) for way, name in WAYS.items() if name in given]

    def exceeds(self, amount: Amount) -> bool:
        return any(getattr(amount, way) > limit for way, limit in self.ways())

    def shares(self, one: Amount, other: Amount) -> bool:
        return any(getattr(one, way) > 0 and getattr(other, way) > 0 for way, _ in self.ways())

    @staticmethod
    def add(kept: dict[str, Amount], holder: str, amount: Amount) -> None:
        kept[holder] = kept.get(holder, Amount()) + amount

    @staticmethod
    def total(kept: dict[str, Amount]) -> Amount:
        return sum(kept.values(), Amount())


@settings(max_examples=300, deadline=None, database=None)
@given(limits, st.lists(amounts, min_size=1, max_size=6), st.integers(0, 2**32), st.integers(10, 80))
def test_sessions_together_never_spend_more_than_the_budget(budgets, worst_case, seed, steps):
    batch = Batch(Ledger(budgets), budgets, random.Random(seed), honest=True, worst_case=worst_case)
    for _ in range(steps):
        batch.step()
    batch.finish()


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(50, 500), st.integers(0, 2**32))
def test_a_call_that_costs_more_than_was_set_aside_passes_the_budget_by_no_more_than_one(limit, seed):
    """One call at a time may be dearer than its worst case: nothing is granted once the budget is passed."""
    chance, ledger, dear = random.Random(seed), Ledger(Budgets(cost=float(limit))), Amount(cost=20.0)
    while isinstance(ledger.reserve("a", dear), Granted):
        ledger.settle("a", dear, Amount(cost=float(chance.randint(0, 40))))
    assert ledger.committed.cost <= limit + dear.cost


@settings(max_examples=200, deadline=None, database=None)
@given(limits, st.lists(amounts, min_size=1, max_size=6), st.integers(0, 2**32))
def test_overspending_is_counted_and_nobody_waits_for_ever(budgets, worst_case, seed):
    batch = Batch(Ledger(budgets), budgets, random.Random(seed), honest=False, worst_case=worst_case)
    for _ in range(80):
        batch.step()
    batch.finish()
