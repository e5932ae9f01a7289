"""What a call to a model returns: a reply, or a named failure with a one-line message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_sci.experiment.base import AiSciError


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `cached_tokens` is the part of `prompt_tokens` that came from the provider's prefix cache;
    `reported` says that the server counted, not we."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reported: bool = False


@dataclass(frozen=True)
class Reply:
    """A model's reply. `text` is empty when it is only white space or only reasoning.

    `finish_reason` is in OpenAI's words (stop, length, content_filter), another reason in the server's. `cost` is in
    US dollars, None when litellm knows no price for the model. `files` maps editable files to new texts, from an
    editor that returns whole files.
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
    bad_request, auth, payment, not_found, too_large, script_ended, internal, not_sent (no request could be made), and
    out_of_time, when the caller's own time is up. Kinds that are retried: rate_limited, timeout, conflict,
    server_error, connection, cut, stream_error, not_a_reply.

    `usage` and `cost` (US dollars; None when the price is unknown) are what the provider may have charged: nothing
    where it refused, else the prompt and the part of the reply that arrived.
    """

    status: int | None
    kind: str
    message: str
    retry_in: float | None = None
    usage: Usage = Usage()
    cost: float | None = 0.0


class ModelUnavailable(AiSciError):
    """No reply can be had: the failure is fatal, or every try failed. Nothing is lost; the session can be resumed."""

    exit_code = 3

    def __init__(self, message: str, failure: CallFailure) -> None:
        super().__init__(message)
        self.failure = failure
