"""Imports litellm on first use (1–2 s) and keeps it silent, local and at one HTTP request a try."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.request import getproxies

from ai_sci.agent.models.errors import HttpTrace


class _Current(threading.local):
    trace: HttpTrace | None = None  # of the try that this thread makes


_current = _Current()
_lock = threading.Lock()

log = logging.getLogger(__name__)


class SecondRequest(BaseException):
    """litellm was about to send another request within one try.

    Its OpenAI handler does so when the error says that roles must alternate; it would insert blank messages.
    Not an `Exception`, so that nothing on the way retries or rewraps it.
    """


def load() -> Any:
    """litellm, set up. Costs nothing after the first call."""
    with _lock:
        if "litellm" in sys.modules and getattr(sys.modules["litellm"], "_ai_sci_ready", False):
            return sys.modules["litellm"]
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no fetch of prices at import
        os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # no .env file read from a parent folder
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        litellm: Any = importlib.import_module("litellm")
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the import sets its own level
        litellm.suppress_debug_info = True  # 'Give Feedback / Get Help', 'Provider List'
        litellm.telemetry = False
        litellm.drop_params = False
        litellm.modify_params = False  # it would insert messages of its own
        litellm.disable_hf_tokenizer_download = True
        litellm.disable_streaming_logging = True  # a thread pool task for every chunk
        # A model may write the same line a hundred times; litellm calls that a server error: we would pay again.
        litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize
        warnings.filterwarnings("ignore", message="Pydantic serializer warnings")  # at values that it does not know
        litellm._ai_sci_ready = True
        return litellm


def watch_http(litellm: Any) -> None:
    """Have the providers that go through OpenAI's client report what they send and get; needed once for live models."""
    with _lock:
        if litellm.client_session is not None:
            return
        import httpx
        from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

        transport = None
        if not getproxies():  # a socket to a proxy says nothing of the server, and a transport of ours would go past it
            from ai_sci.agent.models.probing import ProbingTransport

            transport = ProbingTransport(get_ssl_configuration(), os.getenv("SSL_CERTIFICATE"))
            litellm.sync_transport = transport  # for the providers that do not go through OpenAI's client
        litellm.client_session = httpx.Client(
            transport=transport,
            verify=get_ssl_configuration(),
            follow_redirects=True,
            event_hooks={"request": [_before_request], "response": [_after_response]},
        )


@contextlib.contextmanager
def one_try(trace: HttpTrace) -> Iterator[None]:
    """Writes what HTTP does in this thread until the end of the block into `trace`."""
    _current.trace = trace
    try:
        yield
    finally:
        _current.trace = None


def _before_request(_: Any) -> None:
    trace = _current.trace
    if trace is None:
        return
    redirected = trace.status is not None and 300 <= trace.status < 400
    if trace.requests and not redirected:
        raise SecondRequest
    trace.requests += 1


def _after_response(response: Any) -> None:
    log.debug("HTTP %s from %s", response.status_code, response.request.url.host)
    trace = _current.trace
    if trace is None:
        return
    trace.status = response.status_code
    trace.connection = response.extensions.get("network_stream")
    if response.status_code >= 400:
        trace.headers = dict(response.headers)
        trace.body = response.read().decode("utf-8", "replace")
    elif "content-length" in response.headers and "json" in response.headers.get("content-type", ""):
        # A stream has no length: this is a whole body, which nobody would read who asked for a stream.
        trace.answer = response.read()
