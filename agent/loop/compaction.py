"""A conversation that nears the model's context window is rebuilt from the journal, by rules and without a model.

It keeps the task verbatim, the plan, a table of the runs, the current files and the latest messages. The rest stays in
the journal but is no longer sent. Between rebuilds a request only grows at its end, so that providers can cache it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ai_sci.agent.edits import edits_of, prose_of
from ai_sci.agent.journal import ConversationRebuilt, Event, Message, Replied, RunClosed, Told, render
from ai_sci.agent.loop import prompting
from ai_sci.agent.session import Session

_CHARACTERS_PER_TOKEN = 3.0  # of code; errs towards too many tokens until the provider has counted
_MOST_RESERVED = 16_384  # tokens for the reply
_PLAN = 3000  # characters
_SAID = 300
_MOST_REPEATED = 20_000

# How the window is named in errors of OpenAI, DeepSeek, vLLM, llama.cpp, SGLang, Anthropic, TGI, Gemini and xAI.
_WINDOW = re.compile(
    r"(?:context (?:length|size|window)(?: limit)?(?: is| of|:)?(?: only)?|n_ctx\D{0,3}|prompt length is"
    r"|tokens > |input tokens allowed|number of tokens allowed|must be <=|limit of|less than)\s*"
    r"\(?(\d{3,8})(?!\d|\s*(?:bytes|images|characters|[KM]i?B))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Run:
    number: int
    status: str
    said: str
    metrics: str


def needs_compaction(session: Session, messages: list[Message]) -> str | None:
    """Why the next request has to be shortened; None when it fits or the window is unknown."""
    state = session.state
    window = min((known for known in (state.context_window, state.learned_window) if known), default=None)
    if window is None or not can_shrink(session):
        return None
    tokens, reserved = estimated_tokens(session.journal.events, messages), min(_MOST_RESERVED, window // 4)
    if tokens + reserved <= window:
        return None
    return f"about {tokens} tokens, and {reserved} for the reply, are more than the model's window of {window}"


def can_shrink(session: Session) -> bool:
    """Whether the model has replied since the last rebuild; otherwise another rebuild would remove nothing."""
    return isinstance(_last_of(session.journal.events, (Replied, ConversationRebuilt)), Replied)


def is_rebuilt(session: Session) -> bool:
    """Whether the next request is the first one since a rebuild, so that no shorter one is possible."""
    return isinstance(_last_of(session.journal.events, (Replied, ConversationRebuilt)), ConversationRebuilt)


def estimated_tokens(events: list[Event], messages: list[Message]) -> int:
    """Tokens of a request: the provider's count for the last one, plus an estimate for everything since."""
    characters = 0
    for event in reversed(events):
        if isinstance(event, Told):
            characters += len(event.text)
        elif isinstance(event, Replied) and event.cut_to is not None:
            break  # the provider did not count all of it
        elif isinstance(event, Replied):
            return event.prompt_tokens + round((characters + len(event.text)) / _CHARACTERS_PER_TOKEN)
        elif isinstance(event, ConversationRebuilt):
            break
    return round(sum(len(message.content) for message in messages) / _CHARACTERS_PER_TOKEN)


def learned_window(words: str, tokens: int) -> int:
    """The window named in a provider's refusal, in tokens; where it names none, 80 % of `tokens`."""
    found = [int(number) for number in _WINDOW.findall(words.replace(",", ""))]
    found = [number for number in found if number < 2 * tokens]  # ours is an estimate
    return min(found) if found else max(1, round(tokens * 0.8))


def compact(session: Session, reason: str, learned: int | None) -> ConversationRebuilt:
    """The event that replaces the conversation so far. Its text names no time, cost or window, so that it replays."""
    events, state = session.journal.events, session.state
    assert state.baseline is not None
    told, prompts, reply = _since_the_last_reply(events)
    edits = edits_of(reply) if "refused" in prompts else ""
    window = learned or state.learned_window or state.context_window
    most = _MOST_REPEATED if window is None else min(_MOST_REPEATED, window // 2)  # characters: a sixth of the window
    files = {name: text for name, text in session.editable_texts().items() if text.strip() not in told}
    text = render(
        "rebuilt",
        plan=_plan(events, min(_PLAN, most)) or "(none)",
        baseline=prompting.beside_baseline(state.baseline.metrics, {}),
        runs=_runs(session),
        files=files,
        # The model needs its refused edits to correct them; very long ones are better written from scratch.
        edits=edits if len(edits) <= most else "",
        told=told,
    )
    return ConversationRebuilt(text, reason, learned)


def _since_the_last_reply(events: list[Event]) -> tuple[str, list[str], str]:
    """The messages since the last reply, the names of their prompts, and that reply."""
    told: list[str] = []
    prompts: list[str] = []
    for event in reversed(events):
        if isinstance(event, (Replied, ConversationRebuilt)):
            reply = event.text.strip() if isinstance(event, Replied) else ""
            return "\n\n".join(reversed(told)), prompts, reply
        if isinstance(event, Told):
            told.append(event.text)
            prompts.append(event.prompt)
    return "\n\n".join(reversed(told)), prompts, ""


def _plan(events: list[Event], most: int) -> str:
    """The prose of the first reply that has any."""
    replies = (event for event in events if isinstance(event, Replied))
    return next((prose for reply in replies if (prose := prose_of(reply.text, most))), "")


def _runs(session: Session) -> list[_Run]:
    """The closed runs, each with the start of the prose in its first reply."""
    state, runs, said = session.state, [], ""
    assert state.baseline is not None
    for event in session.journal.events:
        if isinstance(event, Replied) and not said:
            said = prose_of(event.text, _SAID).replace("\n", " ")
        elif isinstance(event, RunClosed):
            status = "accepted" if event.status == "ok" else f"closed: {event.status}"
            metrics = prompting.beside_baseline(event.metrics, state.baseline.metrics) if event.metrics else ""
            # The first reply is the plan, which is shown above.
            runs.append(_Run(event.run, status, said if event.run > 1 else "", metrics))
            said = ""
    return runs


def _last_of(events: list[Event], kinds: tuple[type, ...]) -> Event | None:
    return next((event for event in reversed(events) if isinstance(event, kinds)), None)
