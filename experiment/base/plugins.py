"""Plugins from other packages, found through their entry points."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from ai_sci.experiment.base.errors import AiSciError, ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def installed_plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points installed in a group such as "ai_sci.graders", by name, sorted."""
    return {entry.name: entry for entry in sorted(_entry_points().select(group=group), key=lambda entry: entry.name)}


@cache  # reads the metadata of every installed package
def _entry_points() -> Any:
    from importlib.metadata import entry_points  # 20 ms, and `ai-sci --help` must not wait for it

    return entry_points()


def load_plugin(entry: EntryPoint) -> Any:
    """The object that the entry point names. Raises ConfigError when its package cannot be imported."""
    with plugin_errors(entry, ConfigError, "cannot be loaded"):
        return entry.load()


def make_plugin(entry: EntryPoint, *args: Any) -> Any:
    """Loads a plugin and calls it with `args`. Raises ConfigError when either fails."""
    plugin = load_plugin(entry)
    with plugin_errors(entry, ConfigError, "cannot be opened"):
        return plugin(*args)


@contextmanager
def plugin_errors(
    entry: EntryPoint, kind: type[AiSciError], what: str = "failed", passing: tuple[type[Exception], ...] = ()
) -> Generator[None, None, None]:
    """Raises `kind`, naming the plugin, for whatever its code raises; AiSciError and `passing` pass unchanged."""
    try:
        yield
    except (AiSciError, *passing):
        raise
    except Exception as error:  # third-party code may raise anything
        why = f"{type(error).__name__}: {error}"
        raise kind(f"{entry.value} ({entry.group}: {entry.name}) {what}: {why}") from error
