"""Whatever JSON a server sends, reading it never fails, and good bodies with something strange in them stay good."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ai_sci.agent.models import wire_bodies

NAMES = [
    "type", "object", "done", "done_reason", "message", "content",
    "text", "thinking", "choices", "delta", "finish_reason", "candidates",
    "parts", "thought", "finishReason", "promptFeedback", "blockReason", "usage",
    "usageMetadata", "promptTokenCount", "totalTokenCount", "prompt_tokens", "input_tokens", "output_tokens",
    "input_tokens_details", "response", "status", "incomplete_details", "reason", "output",
    "error", "summary", "stop_reason", "prompt_eval_count", "eval_count",
]  # fmt: skip
WORDS = ["response", "response.completed", "message", "thinking", "text", "error", "stop", "completed", "in_progress"]
leaf = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.sampled_from(WORDS)
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)
bodies = st.dictionaries(st.sampled_from(NAMES), value, max_size=6)


@given(bodies)
@example({"choices": [None], "usage": [], "response": 3, "delta": "x"})
@example({"object": "response", "output": [{"type": "reasoning", "summary": [1]}, None]})
def test_reading_never_fails_and_keeps_its_types(body):
    reason, usage, reply = wire_bodies.finish_reason(body), wire_bodies.usage(body), wire_bodies.reply(body)
    assert reason is None or (isinstance(reason, str) and reason)
    assert usage is None or isinstance(usage["prompt_tokens"], int)
    assert reply is None or all(isinstance(part, str) for part in reply)
    assert wire_bodies.error(body) is None or isinstance(wire_bodies.error(body), dict)


texts = st.lists(st.tuples(st.booleans(), st.text(max_size=5)), max_size=6)


@given(texts)
def test_parts_keep_their_order_and_lose_nothing(parts):
    content = [{"type": "thinking" if thought else "text", "text": text} for thought, text in parts]
    text, reasoning = wire_bodies.split_parts(content)
    assert text == "".join(said for thought, said in parts if not thought)
    assert reasoning == "".join(said for thought, said in parts if thought)
