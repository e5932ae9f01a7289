"""What a provider's words say of the model's window."""

from __future__ import annotations

import pytest

from ai_sci.agent.loop.compaction import learned_window


@pytest.mark.parametrize(
    ("words", "window"),
    [
        ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens", 8192),
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000", 8192),
        ("request (9009 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("prompt is too long: 9000 tokens > 8000 maximum", 8000),
        ("The input token count (9000) exceeds the maximum number of tokens allowed (8,192).", 8192),
        ("maximum prompt length is 8192 but the request contains 9000 tokens", 8192),
        ("inputs tokens + max_new_tokens must be <= 4096", 4096),
        ("expected less than 100 images, context length 8192 exceeded", 8192),
    ],
)
def test_the_number_in_the_words_of_providers(words, window):
    assert learned_window(words, tokens=9000) == window


@pytest.mark.parametrize(
    "words", ["the prompt is too long", "the body exceeds the limit of 1048576 bytes", "context length 4000000"]
)
def test_without_a_believable_number_it_is_a_little_less_than_what_was_sent(words):
    assert learned_window(words, tokens=1000) == 800
