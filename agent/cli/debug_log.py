"""`--debug`: writes what the logger `ai_sci` receives to a log file for bug reports, also tracebacks of our own bugs.

The file is AI_SCI_DEBUG=FILE, else a new temporary one; never in a session, whose files the experiment can read.
Processes forked by a batch write to the same file.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
import tempfile

from ai_sci import __version__
from ai_sci.keys import mask_keys

_LINE = "%(asctime)s %(process)d %(name)s: %(message)s"
# Keys that are in no variable: in a URL, in a header, or beside a name that says so, as in a query or a dict's repr.
_IN_TEXT = re.compile(
    r"(://)[^/@\s]+(?=@)|((?:Bearer|Basic) )[^\s'\"]+"
    r"|((?:key|token|secret|passw\w*|authorization)(?:=|\\*['\"]\s*[:=,]\s*b?\\*['\"]))"
    r"(?!Bearer |Basic )[^&\s'\"\\]+",
    re.IGNORECASE,
)
_log = logging.getLogger("ai_sci")


def open_log() -> str:
    """Opens the log file on the first call; returns its name. Raises OSError when AI_SCI_DEBUG cannot be written."""
    for handler in _log.handlers:
        if isinstance(handler, logging.FileHandler):
            return handler.baseFilename
    name = os.environ.get("AI_SCI_DEBUG")
    if not name:
        descriptor, name = tempfile.mkstemp(prefix="ai-sci-debug-", suffix=".log")
        os.close(descriptor)
    handler = logging.FileHandler(name, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(WithoutKeys(_LINE))
    _log.addHandler(handler)
    _log.setLevel(logging.DEBUG)
    _log.propagate = False
    logging.raiseExceptions = False  # a full disk must not stop a session
    _log.debug("ai-sci %s, Python %s, %s: %s", __version__, platform.python_version(), platform.platform(), sys.argv)
    return handler.baseFilename


def keep(error: BaseException, a_bug: bool = False) -> str | None:
    """Logs the traceback if a log is open, or always for a bug; returns the log's name, if any."""
    name = open_log() if a_bug or _log.handlers else None
    _log.debug("ended by %s", type(error).__name__, exc_info=error)
    return name


class WithoutKeys(logging.Formatter):
    """Masks keys everywhere: those in the environment, and what looks like one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with keys replaced by their variables' names or by stars."""
        return _IN_TEXT.sub(r"\1\2\3***", mask_keys(super().format(record)))
