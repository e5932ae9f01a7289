"""The model `scripted:FOLDER`: plays replies from files, through our own litellm provider."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_sci.agent.models.cost import prompt_tokens, usage_from
from ai_sci.agent.models.errors import TryFailed
from ai_sci.agent.models.litellm_setup import load
from ai_sci.agent.models.one_try import Timeouts, request, try_once
from ai_sci.agent.models.protocol import OnDelta, OnFailure
from ai_sci.agent.models.reply import CallFailure, ModelUnavailable, Reply, Usage
from ai_sci.agent.models.retrying import BeforeTry, RetryPolicy, unlimited, until_answered
from ai_sci.experiment.base import ConfigError

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message

PROVIDER = "scripted"
_NUMBERED = re.compile(r"(\d+)(?:[-_. ].*)?\.md")
_registering = threading.Lock()
_PIECE = 2000  # characters per streamed chunk; each chunk costs litellm a third of a millisecond


@dataclass(frozen=True)
class Script:
    """The replies of one session, in order. The file `01.md` is the reply of turn 0."""

    name: str
    replies: tuple[str, ...]

    def used_up(self) -> str:
        """The message for a turn beyond the last reply."""
        count = len(self.replies)
        return f"the scripted session has {count} {'reply' if count == 1 else 'replies'} and they are used up"


class ScriptedModel:
    """Plays fixed replies through a live model's path: litellm, streaming, retries, usage. It costs nothing."""

    context_window = None

    def __init__(self, name: str, script: Script, retry: RetryPolicy, timeouts: Timeouts) -> None:
        self.name = name
        self._script = script
        self._retry = retry
        self._timeouts = timeouts

    def complete(
        self,
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The script's reply for `turn`; see `Model.complete`."""
        if turn >= len(self._script.replies):
            failure = CallFailure(None, "script_ended", self._script.used_up())
            on_failure(failure)
            raise ModelUnavailable(failure.message, failure)
        litellm = load()
        arguments = {**request(messages), "model": play(litellm, self._script), "turn": turn}
        try:
            raw = until_answered(
                lambda seconds: try_once(litellm, arguments, self._timeouts, on_delta, seconds),
                self._retry,
                before_try,
                on_failure,
                lambda: True,
            )
        except TryFailed as error:
            raise ModelUnavailable(f"{self.name}: {error.failure.message}", error.failure) from error
        return Reply(raw.text, raw.reasoning, raw.finish_reason, usage_from(raw.usage) or Usage(), 0.0)

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """Zero: a script is free."""
        return 0.0

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """Prompt plus the script's longest reply, at four characters per token."""
        return prompt_tokens(messages) + max(len(reply) for reply in self._script.replies) // 4 + 1


def load_script(folder: Path) -> Script:
    """Read `01.md`, `02-any-words.md`, …, ignoring other files. Raises ConfigError for gaps, doubles or no reply."""
    if not folder.is_dir():
        raise ConfigError(f"no folder of scripted replies at {folder}")
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        found = _NUMBERED.fullmatch(file.name)
        if found is None or not file.is_file():
            continue
        number = int(found[1])
        if number in files:
            raise ConfigError(f"two scripted replies have the number {number}: {files[number]} and {file.name}")
        files[number] = file
    if not files:
        raise ConfigError(f"no scripted replies (01.md, 02.md, …) in {folder}")
    missing = [number for number in range(1, max(files) + 1) if number not in files]
    if missing or 0 in files:
        wrong = f"{missing[0]:02}.md is missing" if missing else "replies are numbered from 01.md"
        raise ConfigError(f"the scripted replies in {folder} are not numbered without gaps: {wrong}")
    return Script(str(folder), tuple(_text(files[number]) for number in sorted(files)))


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")  # bytes, since line ends are part of the reply
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None


def play(litellm: Any, script: Script) -> str:
    """Register the script with litellm and return its model name.

    The argument `turn` of `litellm.completion` selects the reply, so there is no state between calls.
    """
    with _registering:
        handler = next(
            (item["custom_handler"] for item in litellm.custom_provider_map if item["provider"] == PROVIDER), None
        )
        if handler is None:
            handler = _provider(litellm)
            litellm.custom_provider_map.append({"provider": PROVIDER, "custom_handler": handler})
        if script not in handler.scripts:
            handler.scripts.append(script)
        return f"{PROVIDER}/{handler.scripts.index(script)}"


def _provider(litellm: Any) -> Any:
    class ScriptedProvider(litellm.CustomLLM):
        """Streams one reply of a script, with usage as a server would send it: four characters per token."""

        def __init__(self) -> None:
            super().__init__()
            self.scripts: list[Script] = []

        def streaming(
            self, model: str, messages: list[Any], optional_params: dict[str, Any], **_: Any
        ) -> Iterator[dict[str, Any]]:
            script, turn = self.scripts[int(model)], optional_params["turn"]
            text = script.replies[turn]
            for start in range(0, len(text), _PIECE):
                yield _chunk(text[start : start + _PIECE])
            prompt = _tokens([message["content"] for message in messages])
            completion = _tokens([text])
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
            yield _chunk("", "stop", usage)

    return ScriptedProvider()


def _chunk(text: str, finish_reason: str = "", usage: dict[str, int] | None = None) -> dict[str, Any]:
    return {
        "text": text,
        "is_finished": bool(finish_reason),
        "finish_reason": finish_reason,
        "usage": usage,
        "index": 0,
        "tool_use": None,
    }


def _tokens(texts: Sequence[str]) -> int:
    return sum(len(text) + 3 for text in texts) // 4
