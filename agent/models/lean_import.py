"""Imports litellm in about half the time: what its libraries do at import for uses that are not ours waits until then.

Nothing is left out, only put off. Measured on litellm 1.81 with openai 2.20 and pydantic 2.12, in shares of the CPU
time: pydantic's validators 25 %, openai's types and resources 25 %, garbage collections 10 %, httpx's command line 5 %.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import sys
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def lean_import() -> Generator[None, None, None]:
    """In its block imports are lean; openai's packages stay so."""
    if _LazyPackages not in sys.meta_path:
        sys.meta_path.insert(0, _LazyPackages)
    with _no_collections(), _validators_on_first_use(), _absent("httpx._main"):
        yield


@contextlib.contextmanager
def _no_collections() -> Generator[None, None, None]:
    """Hundreds of thousands of objects that all stay: there is nothing to collect."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def _validators_on_first_use() -> Generator[None, None, None]:
    """pydantic builds a model's validators when the class is made; `defer_build` is its own way to wait for the first
    use. It is an option of a class, and a thousand classes here are not ours: so it is made the default."""
    try:
        from pydantic._internal._config import config_defaults
    except ImportError:  # a version that keeps them elsewhere
        yield
        return
    defaults: dict[str, Any] = config_defaults  # type: ignore[assignment]  a TypedDict
    before = defaults.get("defer_build", False)
    defaults["defer_build"] = True
    try:
        yield
    finally:
        defaults["defer_build"] = before


@contextlib.contextmanager
def _absent(name: str) -> Generator[None, None, None]:
    """`import name` fails: for a part that its package can do without. httpx has a command line, drawn with rich."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  as documented for an import that is to fail
    try:
        yield
    finally:
        del sys.modules[name]


class _LazyPackages:
    """A finder for openai's packages whose `__init__` only re-exports: each name is imported when it is asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("openai."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.submodule_search_locations and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _LazyLoader(spec.loader.name, spec.loader.path)
        return spec


class _LazyLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        homes = re_exports(self.get_source(self.name) or "")
        if not homes:
            super().exec_module(module)
            return

        submodules = {home.split(".")[0] for home, _ in homes.values()}

        def find(name: str) -> Any:
            if name in submodules:
                return importlib.import_module(f".{name}", module.__name__)
            if name not in homes:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            home, original = homes[name]
            value = getattr(importlib.import_module(f".{home}", module.__name__), original)
            setattr(module, name, value)
            return value

        module.__dict__["__getattr__"] = find
        module.__dict__["__all__"] = list(homes)


def re_exports(source: str) -> dict[str, tuple[str, str]]:
    """Name → (submodule, name there) of an `__init__` that does nothing else than re-export; {} of any other."""
    homes: dict[str, tuple[str, str]] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.ImportFrom(module="__future__"):
                continue
            case ast.ImportFrom(module=str(home), level=1):
                homes |= {one.asname or one.name: (home, one.name) for one in statement.names}
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                continue
            case _:
                return {}
    # A name that is also a submodule's would turn from the one into the other when that is imported.
    ambiguous = any(name in ("*", home.split(".")[0]) for name, (home, _) in homes.items())
    return {} if ambiguous else homes
