"""The rule by which slots are given out, played on a clock of its own."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_sci.agent.batch.scheduling import Candidate, Means, is_critical, may_begin, next_in_line


def candidate(session: str, **changes: object) -> Candidate:
    fields = {"template": "t", "runs_closed": 0, "attempts": 0, "runs_left": 3, "since": 0.0, **changes}
    return Candidate(session, **fields)  # type: ignore[arg-type]


def first(*waiting: Candidate, left: int = 1000, held: dict[str, int] | None = None) -> str:
    return next_in_line(waiting, left, 2, Means(), held or {}).session


def test_who_is_further_along_goes_first():
    assert first(candidate("a"), candidate("b", runs_closed=2, runs_left=1)) == "b"
    assert first(candidate("a", attempts=1), candidate("b", attempts=2)) == "b"
    assert first(candidate("a", since=5.0), candidate("b", since=4.0)) == "b"


def test_templates_take_turns():
    far, new = candidate("a", runs_closed=2), candidate("b", template="other")
    assert first(far, new, held={"t": 1}) == "b"
    assert first(far, new, held={"t": 1, "other": 1}) == "a"


def test_a_session_that_would_be_the_last_to_end_goes_before_everybody():
    assert first(candidate("a", runs_closed=2, runs_left=1), candidate("b", runs_left=3), left=6) == "b"
    assert first(candidate("a", runs_closed=2, runs_left=1), candidate("b", runs_left=3), left=60) == "a"


def test_ideas_are_begun_when_a_slot_would_stay_free():
    begins = {"at_work": 12, "waiting": 0, "planning": 0, "free": 1, "slots": 4, "most": 32, "critical": False}
    assert may_begin(**begins)  # type: ignore[arg-type]
    for change in ({"waiting": 1}, {"planning": 1}, {"free": 0}, {"most": 12}):
        assert not may_begin(**{**begins, **change})  # type: ignore[arg-type]
    assert may_begin(**{**begins, "at_work": 11, "free": 0})  # type: ignore[arg-type]


@dataclass
class Night:
    """Sessions that think and run on slots, by the rule; `works` are (thinking, running) seconds, run by run."""

    works: list[list[tuple[float, float]]]
    slots: int
    most: int = 32
    now: float = 0.0
    ended: list[float] = field(default_factory=list)

    def play(self) -> float:
        """When the last session has ended."""
        events: list[tuple[float, int, str, int]] = []
        done, at_work, planning, begun = [0] * len(self.works), set[int](), set[int](), 0
        waiting: dict[int, Candidate] = {}
        free, means = self.slots, Means()

        def later(seconds: float, what: str, session: int) -> None:
            heapq.heappush(events, (self.now + seconds, len(events) + session, what, session))

        while True:
            left = sum(len(work) - closed for work, closed in zip(self.works, done))
            while free and waiting:
                session = int(next_in_line(list(waiting.values()), left, self.slots, means, {}).session)
                del waiting[session]
                free -= 1
                later(self.works[session][done[session]][1], "ends", session)
            while begun < len(self.works):
                critical = is_critical(len(self.works[begun]), left, self.slots, means)
                if not may_begin(len(at_work), len(waiting), len(planning), free, self.slots, self.most, critical):
                    break
                at_work.add(begun)
                planning.add(begun)
                later(self.works[begun][0][0], "asks", begun)
                begun += 1
            if not events:
                assert done == [len(work) for work in self.works], "somebody has never had a slot"
                return self.now
            self.now, _, what, session = heapq.heappop(events)
            run = done[session]
            if what == "asks":
                planning.discard(session)
                means.model_thought(self.works[session][run][0])
                waiting[session] = candidate(
                    str(session), runs_closed=run, runs_left=len(self.works[session]) - run, since=self.now
                )
                continue
            free += 1
            done[session] += 1
            means.slot_was_held(self.works[session][run][1])
            means.run_was_closed()
            if done[session] < len(self.works[session]):
                later(self.works[session][done[session]][0], "asks", session)
            else:
                at_work.discard(session)
                self.ended.append(self.now)


def bound(works: list[list[tuple[float, float]]], slots: int) -> float:
    """No schedule is shorter."""
    longest = max(sum(thinking + running for thinking, running in work) for work in works)
    return max(sum(running for work in works for _, running in work) / slots, longest)


seconds = st.floats(0.1, 10.0)
nights = st.lists(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=5), min_size=1, max_size=25)


@given(nights, st.integers(1, 8), st.integers(1, 12))
def test_everybody_has_a_turn_whatever_the_times(works, slots, most):
    assert Night(works, slots, most).play() >= bound(works, slots) - 1e-6


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_forty_ideas_on_eight_gpus_take_hardly_longer_than_they_must(seed):
    chance = random.Random(seed)
    works = [[(chance.uniform(0.5, 3), chance.uniform(1, 5)) for _ in range(5)] for _ in range(40)]
    night = Night(works, 8)
    assert night.play() / bound(works, 8) < 1.10
    assert sorted(night.ended)[10] < 0.55 * night.now  # finished ideas come early
