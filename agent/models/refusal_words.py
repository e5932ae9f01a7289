"""What a provider's refusal means where its HTTP status alone does not say."""

from __future__ import annotations

import re

# As worded by OpenAI, DeepSeek, vLLM, llama.cpp, SGLang, Anthropic, TGI, Gemini, Ollama, LM Studio, Bedrock and xAI.
_CONTEXT_WINDOW = re.compile(
    r"context[_ ]length[_ ]exceeded"
    r"|maximum context length|maximum prompt length|maximum allowed input length"
    r"|model'?s context length|the context length of"
    r"|exceed(s|ed|ing)?[_ ](the )?(available |model'?s |maximum )?context([_ ](size|window|length|limit))?"
    r"|(longer|larger|greater) than the (model'?s |maximum )?context"
    r"|prompt is too long|input is too long|input tokens exceed|input length exceeds"
    r"|input token count .{0,40}exceeds"
    r"|`?inputs`? tokens \+ `?max_new_tokens`? must be"
    r"|reduce the length of the (messages|input|prompt)"
    r"|context (window|size) (is )?(exceeded|overflow)|context overflow",
    re.IGNORECASE,
)
# Out of credit, reported with a status other than 402. Gemini also says "exceeded your current quota" of a per-minute
# limit, so those words alone do not count.
_NO_CREDIT = re.compile(
    r"insufficient_(\w+_)?quota|credit balance is too low|insufficient (account )?balance", re.IGNORECASE
)
# A limit of requests or tokens that passes, as some servers and gateways report it with 403.
_LIMITED = re.compile(
    r"rate[ _-]?limit|too[ _]many[ _](\w+[ _])?(requests|tokens|calls)|throttl|resource[ _]?exhausted|slow down"
    r"|(requests?|tokens?|calls|queries)[ _]per[ _](second|minute|hour|day)"
    r"|(hourly|daily|weekly|monthly|usage|concurrency) (\w+ )?(limit|quota|allowance|cap)\b"
    r"|(limit|quota|capacity)s?\W{0,3}(\w+\W+){0,6}?(exceeded|exhausted|reached|hit|used up)"
    r"|(exceed(s|ed|ing)?|exhausted|reached|hit|over|out of) (\w+\W+){0,6}?(quotas?|limits?)\b",
    re.IGNORECASE,
)
# One on money, or on what a single request holds.
_LASTS = re.compile(
    r"spend|budget|billing|payment|credit|balance|key limit|quota project|plan does not|(size|length) limit",
    re.IGNORECASE,
)


def says_too_long(words: str) -> bool:
    """Whether the conversation is longer than the model's context window."""
    return _CONTEXT_WINDOW.search(words) is not None


def says_no_credit(words: str) -> bool:
    """Whether the account cannot pay."""
    return _NO_CREDIT.search(words) is not None


def says_limited(words: str) -> bool:
    """Whether a limit on requests or tokens is reached, which passes."""
    return _LIMITED.search(words) is not None and _LASTS.search(words) is None
