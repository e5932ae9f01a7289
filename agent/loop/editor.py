"""The interface to what edits the files: a model with its edit formats, or an editor from another package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ai_sci.agent.models import Answerer, BeforeTry, Model, OnDelta, OnFailure, Reply, open_model, unlimited
from ai_sci.experiment.base import ConfigError, installed_plugins, load_plugin

if TYPE_CHECKING:
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

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self.context_window = model.context_window
        self.worst_case_cost = model.worst_case_cost
        self.worst_case_tokens = model.worst_case_tokens
        self._model = model

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
        """The model's reply; the edits in its text are parsed later, so `files` and `editable` are not used."""
        return self._model.complete(
            messages, turn=turn, on_delta=on_delta, on_failure=on_failure, before_try=before_try
        )


def open_editor(name: str, *, api_base: str | None = None) -> Editor:
    """What `--model` names: KIND:REST for an installed editor (entry points `ai_sci.editors`), else a model.

    Raises ConfigError as `open_model` does, and when the editor's package cannot be loaded.
    """
    kind, colon, rest = name.partition(":")
    entry = installed_plugins("ai_sci.editors").get(kind) if colon and kind not in _MODELS else None
    if entry is None:
        return ModelEditor(open_model(name, api_base=api_base))
    if api_base is not None:
        raise ConfigError(f"--api-base is for models, and {name} is an editor of {entry.value}")
    return load_plugin(entry)(rest)


_MODELS = ("scripted", "replay", "history")  # kinds of fixed replies, which no package can replace
