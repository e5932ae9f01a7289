"""Imports litellm in about half the time, by deferring import-time work of its dependencies that we may never need.

Nothing is lost, only deferred. Shares of the CPU time, measured on litellm 1.81 with openai 2.20 and pydantic 2.12:
pydantic's validators 25 %, openai's types and resources 25 %, garbage collection 10 %, httpx's command line 5 %.
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
    """Imports in its block are lean; openai's packages stay lazy afterwards."""
    if _LazyPackages not in sys.meta_path:
        sys.meta_path.insert(0, _LazyPackages)
    with _no_collections(), _validators_on_first_use(), _absent("httpx._main"):
        yield


@contextlib.contextmanager
def _no_collections() -> Generator[None, None, None]:
    """Pause garbage collection: importing makes hundreds of thousands of objects, and all of them stay."""
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
    """Have pydantic build a model's validators on first use, not when the class is created. `defer_build` is a
    per-class option, and these thousand classes are not ours, so change its default."""
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
    """Make `import name` fail, for a part that its package can do without: httpx has a command line drawn with rich."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[name]


class _LazyPackages:
    """Finder for those of openai's packages whose `__init__` only re-exports: each name is imported on first access."""

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
    """Name → (submodule, name there) of an `__init__` that only re-exports; {} for any other."""
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
    # A name that is also a submodule's would be replaced by the submodule once that is imported.
    ambiguous = any(name in ("*", home.split(".")[0]) for name, (home, _) in homes.items())
    return {} if ambiguous else homes
