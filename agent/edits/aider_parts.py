"""Loads aider's reply parsers without the rest of aider.

`import aider.coders` imports the whole application: 0.6 s of CPU, analytics clients, a prompt toolkit, and three
environment variables that label all of the process's requests as aider's. The functions used here need none of that.
So their modules are loaded into a stand-in package whose `Coder` is an empty class, and then removed from
`sys.modules`, so that a real `import aider.coders` elsewhere still works. That takes 0.08 s, on the first reply with an
edit.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "aider.coders"
loading = threading.Lock()


@cache
def coder_module(name: str) -> ModuleType:
    """The module `aider.coders.<name>`."""
    with loading:
        displaced = _take_out()
        package = ModuleType(PACKAGE)
        package.__path__ = [str(_aider_folder() / "coders")]
        base = ModuleType(f"{PACKAGE}.base_coder")
        base.__dict__["Coder"] = object
        sys.modules.update({PACKAGE: package, base.__name__: base})
        try:
            return importlib.import_module(f"{PACKAGE}.{name}")
        finally:
            _take_out()
            sys.modules.update(displaced)


def _take_out() -> dict[str, ModuleType]:
    """Remove the package from `sys.modules`; returns what was there."""
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


def _aider_folder() -> Path:
    """The installed package's folder, found without importing it. Raises ImportError."""
    spec = importlib.util.find_spec("aider")
    if spec is None or spec.origin is None:
        raise ImportError("aider-chat is not installed in this environment")
    return Path(spec.origin).parent


def block_reader() -> Callable[..., Any]:
    """`find_original_update_blocks(text, fence, names)` yields (name, search, replace), or (None, shell command)."""
    return coder_module("editblock_coder").find_original_update_blocks


def line_replacer() -> Callable[..., Any]:
    """`perfect_replace(lines, part, replacement)` returns the text with the first such part replaced."""
    return coder_module("editblock_coder").perfect_replace


def diff_reader() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`find_diffs(text)` returns (name, hunk) pairs, `hunk_to_before_after(hunk)` a hunk's two texts."""
    module = coder_module("udiff_coder")
    return module.find_diffs, module.hunk_to_before_after
