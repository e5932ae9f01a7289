"""What comes back from a call to a model: a reply, or a failure with a name and one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_sci.experiment.base import AiSciError


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `cached_tokens` is the part of `prompt_tokens` that the provider had in its prefix cache."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class Reply:
    """A model's reply. `text` is empty when it said nothing, or only white space, or only reasoned.

    `finish_reason` is in OpenAI's words (stop, length, content_filter). `cost` is in US dollars, None when litellm
    knows no price for the model. `files` are new texts of editable files, from an editor that gives files.
    """

    text: str
    reasoning: str
    finish_reason: str | None
    usage: Usage
    cost: float | None
    files: Mapping[str, str] | None = None


@dataclass(frozen=True)
class CallFailure:
    """One failed try. `message` is one line for people; `retry_in` is in seconds, None when there is no next try.

    `status` is the HTTP status, None when there was none. Kinds that end the call at once: context_window,
    bad_request, auth, payment, not_found, too_large, script_ended, internal. Kinds that are tried again:
    rate_limited, timeout, conflict, server_error, connection, cut, stream_error, not_a_reply. When the caller's own
    time was up it is out_of_time, and the call ends.

    `usage` and `cost` (US dollars; None when the price is not known) are what the provider may have charged: nothing
    where it refused, else what was sent and what had come of the reply.
    """

    status: int | None
    kind: str
    message: str
    retry_in: float | None = None
    usage: Usage = Usage()
    cost: float | None = 0.0


class ModelUnavailable(AiSciError):
    """No reply can be had: the failure is fatal, or every try failed. Nothing is lost and the session can go on."""

    exit_code = 3

    def __init__(self, message: str, failure: CallFailure) -> None:
        super().__init__(message)
        self.failure = failure
