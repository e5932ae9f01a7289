"""Imports litellm on first use and keeps it quiet, local, and at one HTTP request per try."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterable
from typing import Any

from ai_sci.agent.models.lean_import import lean_import

_lock = threading.Lock()
_ahead: threading.Thread | None = None
# What litellm imports only when it sends its first request through OpenAI's client.
_FOR_A_REQUEST = ("httpcore", "openai.resources.chat.completions", "litellm._service_logger")


def load() -> Any:
    """litellm, imported and configured; free after the first call."""
    with _lock:
        if _is_loaded():
            return sys.modules["litellm"]
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no download of prices at import
        os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # no .env file read from a parent folder
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with lean_import():
            litellm: Any = importlib.import_module("litellm")
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the import sets its own level
        litellm.suppress_debug_info = True  # 'Give Feedback / Get Help', 'Provider List'
        litellm.telemetry = False
        litellm.drop_params = False
        litellm.modify_params = False  # it would insert its own messages
        litellm.disable_hf_tokenizer_download = True
        litellm.disable_streaming_logging = True  # a thread pool task for every chunk
        # A model may repeat a line a hundred times; litellm calls that a server error, and a retry would be paid for.
        litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize
        warnings.filterwarnings("ignore", message="Pydantic serializer warnings")  # about values that it does not know
        litellm._ai_sci_ready = True
        return litellm


def load_ahead(also: Iterable[str] = ()) -> None:
    """Start importing what a first request needs, and the modules `also`, in a thread; `load` waits for litellm.

    Not a daemon: Python aborts if it exits while a thread is inside pydantic's Rust code.
    """
    global _ahead
    if _ahead is None:
        _ahead = threading.Thread(target=_import_quietly, args=((*_FOR_A_REQUEST, *also),), name="imports")
        _ahead.start()


def load_all(also: Iterable[str]) -> Any:
    """litellm and everything that `load_ahead` imports; no import thread is left when this returns."""
    load_ahead()
    assert _ahead is not None
    _ahead.join()
    _import(also)
    return load()


def _import_quietly(names: Iterable[str]) -> None:
    """Ignore errors: the process may be exiting, when some modules cannot be imported any more, and any other error
    recurs where the module is needed."""
    with contextlib.suppress(Exception):
        _import(names)


def _import(names: Iterable[str]) -> None:
    load()
    with _lock, lean_import():
        for name in names:
            # Another version of the library may have it elsewhere; then it is imported when needed.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _is_loaded() -> bool:
    return getattr(sys.modules.get("litellm"), "_ai_sci_ready", False)
