"""Parts that other packages bring, found through the entry points that they declare."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ai_sci.experiment.base.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def installed_plugins(group: str) -> dict[str, EntryPoint]:
    """What is installed in an entry-point group such as "ai_sci.graders", by name, in the order of the names."""
    return {entry.name: entry for entry in sorted(_entry_points().select(group=group), key=lambda entry: entry.name)}


@cache  # the metadata of every installed package is read for it, once for all groups
def _entry_points() -> Any:
    from importlib.metadata import entry_points  # 20 ms, and `ai-sci --help` must not wait for it

    return entry_points()


def load_plugin(entry: EntryPoint) -> Any:
    """The object that the entry point names. Raises ConfigError when its package cannot be imported."""
    try:
        return entry.load()
    except Exception as error:  # its import runs code of others, which may raise anything
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{entry.value} ({entry.group}: {entry.name}) cannot be loaded: {what}") from error
