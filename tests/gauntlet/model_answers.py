"""Answers of the model's server that came well over HTTP and are no reply, or none that leads anywhere."""

from __future__ import annotations

from tests.gauntlet.case import Case
from tests.gauntlet.model_api import passes
from tests.gauntlet.story import SECOND
from tests.servers import faults
from tests.servers.answers import Answer
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.openai_strict import StrictServer

NOT_A_REPLY = [
    passes("HTTP 200 with HTML", faults.html(), "not_a_reply"),
    passes("HTTP 200 with an error in it", faults.error_in_200(), "stream_error", "Provider returned error"),
    passes("HTTP 200 with nothing", faults.no_body(), "not_a_reply"),
    passes("HTTP 200 with null", faults.null_body(), "not_a_reply"),
    passes("HTTP 200 that is not gzip", faults.not_gzip(), "not_a_reply"),
    passes("invalid JSON", faults.invalid_json(), "not_a_reply", "cannot be read"),
    passes("invalid JSON at DeepSeek", faults.invalid_json(), "not_a_reply", server=DeepSeekServer),
    passes("no choices", faults.no_choices(), "not_a_reply", "no reply in it"),
    passes("error event in the stream", faults.stream_error(), "stream_error", "broke off.*the engine died"),
    passes(
        "overloaded in the stream at Anthropic",
        faults.stream_error(6, 529, "Overloaded"),
        "stream_error",
        "Overloaded",
        server=AnthropicServer,
    ),
    passes(
        "invalid UTF-8",
        faults.bad_event(b'{"choices": [{"delta": {"content": "\xff\xfe"}}]}'),
        "not_a_reply",
        "cannot be read",
    ),
    passes("Latin-1 instead of UTF-8", faults.wrong_encoding(), "not_a_reply", "cannot be read"),
    # Read as far as can be, by litellm: what is not UTF-8 becomes U+FFFD.
    passes("Latin-1 at Anthropic", faults.wrong_encoding(), "no_edit", server=AnthropicServer),
    passes(
        "broken off by DeepSeek",
        faults.says(Answer(SECOND[:60], finish_reason="insufficient_system_resource")),
        "cut",
        "broke the reply off",
        server=DeepSeekServer,
    ),
]

# Good HTTP: replies that lead nowhere, which the model is asked about.
ODD_REPLIES = [
    passes("content null", faults.null_content(), "no_edit", "empty"),
    passes("content empty", faults.empty(), "no_edit", "empty", quick=True),
    passes("content of white space", faults.whitespace(), "no_edit", "empty"),
    passes("reasoning only", faults.reasoning_only(), "no_edit", "empty"),
    passes("reasoning only at DeepSeek", faults.reasoning_only(), "no_edit", "empty", server=DeepSeekServer),
    passes("reasoning only at Anthropic", faults.reasoning_only(), "no_edit", "empty", server=AnthropicServer),
    passes(
        "cut off in the middle of a block",
        faults.finish_length(SECOND[: SECOND.index(">>>>>>>")]),
        "edit_refused",
        "cut off|not closed",
        quick=True,
    ),
    passes(
        "cut off at Anthropic",
        faults.finish_length(SECOND[: SECOND.index(">>>>>>>")]),
        "edit_refused",
        "",
        server=AnthropicServer,
    ),
    passes("cut off before the first word", faults.says(Answer("", "hm. " * 99, "length")), "no_edit", "output limit"),
    passes("a reply of 2 MB", faults.big_reply(), "no_edit"),
    passes("a reply of 2 MB at Anthropic", faults.big_reply(), "no_edit", server=AnthropicServer),
    passes(
        "a refusal by the content filter",
        faults.says(Answer("I can't help.", finish_reason="content_filter")),
        "no_edit",
    ),
    passes("a refusal without content", faults.refusal_field(), "no_edit"),
    passes(
        "a refusal at Anthropic",
        faults.says(Answer("", finish_reason="content_filter")),
        "no_edit",
        server=AnthropicServer,
    ),
    passes("a tool call that nobody offered", faults.tool_call(), "no_edit"),
    Case(
        "refused for ever",
        replies=lambda messages: "I can't help with that.",
        server=StrictServer,
        verdicts=("no_edit",) * 8,
        status="gave_up",
        accepted=0,
        says="two runs in a row",
    ),
]

CASES: list[Case] = [*NOT_A_REPLY, *ODD_REPLIES]
