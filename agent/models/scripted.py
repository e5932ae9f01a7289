"""The scripted model: plays replies from files, through a litellm provider of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import ConfigError

PROVIDER = "scripted"
_NUMBERED = re.compile(r"(\d+)(?:[-_. ].*)?\.md")
_PIECE = 2000  # characters a streamed chunk; each one costs litellm a third of a millisecond


@dataclass(frozen=True)
class Script:
    """The replies of one session, in order. The file `01.md` is the reply of turn 0."""

    name: str
    replies: tuple[str, ...]

    def used_up(self) -> str:
        count = len(self.replies)
        return f"the scripted session has {count} {'reply' if count == 1 else 'replies'} and they are used up"


def load_script(folder: Path) -> Script:
    """Read `01.md`, `02-any-words.md`, …; other files are ignored. Raises ConfigError when it is no such folder."""
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
        return file.read_bytes().decode("utf-8-sig")  # bytes: the line ends are part of the reply
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None


def play(litellm: Any, script: Script) -> str:
    """Make the script known to litellm and return the model name under which it plays.

    Which reply comes next is the argument `turn` of `litellm.completion`, so nothing is remembered between calls.
    """
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
        """Streams one reply of a script, with usage as a server would send it: four characters a token."""

        def __init__(self) -> None:
            super().__init__()
            self.scripts: list[Script] = []

        def streaming(self, model: str, messages: list, optional_params: dict, **_: Any) -> Iterator[dict[str, Any]]:
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
