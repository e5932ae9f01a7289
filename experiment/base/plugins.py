"""Plugins from other packages, found through their entry points."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ai_sci.experiment.base.errors import ConfigError

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
    try:
        return entry.load()
    except Exception as error:  # importing runs third-party code, which may raise anything
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{entry.value} ({entry.group}: {entry.name}) cannot be loaded: {what}") from error
