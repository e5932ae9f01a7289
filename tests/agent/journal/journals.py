"""Events and journals for property tests: any event, in any order, with any text in it."""

from __future__ import annotations

import dataclasses
import typing

from hypothesis import strategies as st

from ai_sci.agent.journal.events import EVENT_TYPES, Event, Replied, Told
from ai_sci.agent.journal.journal import Entry

texts = st.text(st.characters(), max_size=40)  # surrogates, NUL and line separators among them
blank = st.sampled_from(["", " ", "\n\n", "\t \r\n", "\u00a0", "\u2028"])
numbers = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.dictionaries(st.text(max_size=8), numbers, max_size=3)


def _field(annotation: str) -> st.SearchStrategy:
    optional = annotation.endswith("| None")
    strategies: dict[str, st.SearchStrategy] = {
        "str": texts,
        "int": st.integers(-5, 10**9),
        "float": numbers,
        "bool": st.booleans(),
        "list[str]": st.lists(texts, max_size=3),
        "dict[str, float]": metrics,
        "dict[str, str]": st.dictionaries(texts, texts, max_size=3),
        "dict[str, Any]": st.dictionaries(texts, texts, max_size=3),
        "dict[str, float | None]": metrics,
    }
    strategy = strategies[annotation.removesuffix(" | None") if optional else annotation]
    return st.one_of(st.none(), strategy) if optional else strategy


def _event(event_type: type) -> st.SearchStrategy[Event]:
    fields = {field.name: _field(typing.cast(str, field.type)) for field in dataclasses.fields(event_type)}
    return st.builds(event_type, **fields)


any_event: st.SearchStrategy[Event] = st.one_of(*map(_event, EVENT_TYPES.values()))
tellings = st.builds(Told, prompt=st.just("task"), text=st.one_of(texts, blank))
replies = st.builds(
    Replied,
    text=st.one_of(texts, blank),
    reasoning=texts,
    finish_reason=st.none(),
    model=st.just("m"),
    prompt_tokens=st.integers(0, 9),
    completion_tokens=st.integers(0, 9),
    cached_tokens=st.integers(0, 9),
    cost=st.none(),
    seconds=st.just(0.1),
)
conversations = st.lists(st.one_of(tellings, replies, any_event), max_size=12)
entries = st.builds(Entry, at=st.floats(0, 4e9).map(lambda at: round(at, 3)), event=any_event)
