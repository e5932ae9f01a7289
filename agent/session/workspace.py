"""The editable files of a session folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ai_sci.experiment.base import ConfigError
from ai_sci.keys import key_in

NOTES = "notes.txt"
PLOT = "plot.py"


def code_files(editable: Sequence[str]) -> list[str]:
    """The editable files that an experiment executes."""
    return [name for name in editable if name not in (NOTES, PLOT)]


def read_texts(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The text of the files that exist, line ends unchanged; non-UTF-8 bytes survive a round trip."""
    texts = {}
    for name in names:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            texts[name] = path.read_bytes().decode("utf-8", "surrogateescape")
    return texts


def refuse_keys(folder: Path, names: Sequence[str]) -> None:
    """Raises ConfigError when one of these files holds a key of the environment: the model would be shown another text
    than the file's, and could not edit it."""
    for name, text in read_texts(folder, names).items():
        if variable := key_in(text):
            raise ConfigError(
                f"{folder / name} holds the value of {variable}, and no key may reach the model or the journal: "
                f"take it out of the file, or unset {variable}."
            )


def code_hash(folder: Path, editable: Sequence[str], changed: Mapping[str, str] | None = None) -> str:
    """The sha256 of the code files, with the `changed` texts replacing theirs."""
    texts = {**read_texts(folder, code_files(editable)), **(changed or {})}
    digest = hashlib.sha256()
    for name in sorted(code_files(editable)):
        digest.update(f"{name}\0{texts.get(name, '')}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
