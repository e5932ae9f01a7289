"""The interface to what edits the files: a model with its edit formats, or an editor from another package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, cast

from ai_sci.agent.aider_history import at_first_places
from ai_sci.agent.budgets import BudgetReached
from ai_sci.agent.edits import load_edit_formats
from ai_sci.agent.models import Answerer, BeforeTry, Model, OnDelta, OnFailure, Reply, open_model, unlimited
from ai_sci.experiment.base import ConfigError, EnvironmentFailed, installed_plugins, make_plugin, plugin_errors
from ai_sci.keys import fill_in_keys

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ai_sci.agent.journal import Message


class Editor(Answerer, Protocol):
    """Answers the conversation and edits the files."""

    def propose(
        self,
        files: Mapping[str, str],
        editable: Sequence[str],
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The reply to `messages`, the last of which says what to do now.

        `files` maps the editable files that exist to their texts; `editable` names all that may exist. A reply with
        `files` gives new texts for any of them, and its own text is then not parsed for edits. The keywords are those
        of `Model.complete`. Raises ModelUnavailable when no reply can be obtained.
        """
        ...


class ModelEditor:
    """A language model whose replies contain edits in one of the formats of `ai_sci.agent.edits`."""

    def __init__(self, model: Model, clarify: Callable[[str, Mapping[str, str]], str] | None = None) -> None:
        """`clarify` is given the text of a reply and the files that it edits, and returns the text to keep."""
        self.name = model.name
        self.context_window = model.context_window
        self.worst_case_cost = model.worst_case_cost
        self.worst_case_tokens = model.worst_case_tokens
        self._model, self._clarify = model, clarify

    def propose(
        self,
        files: Mapping[str, str],
        editable: Sequence[str],
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The model's reply; the edits in its text are parsed later."""
        reply = self._model.complete(
            messages, turn=turn, on_delta=on_delta, on_failure=on_failure, before_try=before_try
        )
        return dataclasses.replace(reply, text=self._clarify(reply.text, files)) if self._clarify else reply


class InstalledEditor:
    """An editor from another package. What it raises or returns wrongly is EnvironmentFailed, naming the package."""

    def __init__(self, entry: EntryPoint, rest: str) -> None:
        """Raises ConfigError when the editor cannot be loaded or constructed."""
        self._entry = entry
        self._editor: Editor = make_plugin(entry, rest)
        with plugin_errors(entry, ConfigError, "is not an Editor"):
            self.name, self.context_window = self._editor.name, self._editor.context_window

    def worst_case_cost(self, messages: Sequence[Message]) -> float | None:
        """The editor's."""
        with self._errors():
            return self._editor.worst_case_cost(messages)

    def worst_case_tokens(self, messages: Sequence[Message], window: int | None) -> int | None:
        """The editor's."""
        with self._errors():
            return self._editor.worst_case_tokens(messages, window)

    def propose(
        self,
        files: Mapping[str, str],
        editable: Sequence[str],
        messages: Sequence[Message],
        *,
        turn: int,
        on_delta: OnDelta,
        on_failure: OnFailure,
        before_try: BeforeTry = unlimited,
    ) -> Reply:
        """The editor's reply, checked, since the journal keeps it and every resume reads it again."""
        with self._errors():
            reply = self._editor.propose(
                files,
                editable,
                messages,
                turn=turn,
                on_delta=on_delta,
                on_failure=on_failure,
                before_try=before_try,
            )
            _check_reply(reply)
            return reply

    def _errors(self) -> AbstractContextManager[None]:
        return plugin_errors(self._entry, EnvironmentFailed, passing=(OSError, BudgetReached))


def _check_reply(reply: object) -> None:
    """Raises TypeError for what cannot be journalled or applied."""
    if not isinstance(reply, Reply):
        raise TypeError(f"propose returned {type(reply).__name__}, not a Reply")
    _check_text("text", reply.text)
    _check_text("reasoning", reply.reasoning)
    _check_files(reply.files)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"the {name} of the Reply is {type(value).__name__}, not str")


def _check_files(files: object) -> None:
    if files is None:
        return
    if not isinstance(files, Mapping):
        raise TypeError(f"the files of the Reply are {type(files).__name__}, not a mapping of names to texts")
    for name, text in cast("Mapping[object, object]", files).items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"the files of the Reply map str to str, and {name!r} maps to {type(text).__name__}")


def open_editor(name: str, *, api_base: str | None = None, wait: float | None = None) -> Editor:
    """What `--model` names: KIND:REST for an installed editor (entry points `ai_sci.editors`), else a model.

    Raises ConfigError as `open_model` does, and when the package of the editor or of an edit format is broken.
    """
    load_edit_formats()  # before anything is created or spent
    kind, colon, rest = name.partition(":")
    entry = installed_plugins("ai_sci.editors").get(kind) if colon and kind not in _MODELS else None
    if entry is None:
        # A journal holds no key, also not one in a gateway's address.
        model = open_model(name, api_base=api_base and fill_in_keys(api_base), wait=wait)
        # aider took the first of several places that a block could mean; so that place is said.
        return ModelEditor(model, at_first_places if kind == "history" else None)
    if api_base is not None:
        raise ConfigError(f"--api-base is for models, and {name} is an editor of {entry.value}")
    return InstalledEditor(entry, rest)


_MODELS = ("scripted", "replay", "history")  # kinds of fixed replies, which no package can replace
