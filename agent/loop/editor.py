"""The seam for whoever edits the files: a model with its edit formats, or an editor that another package brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ai_sci.agent.models import Answerer, BeforeTry, Model, OnDelta, OnFailure, Reply, open_model, unlimited
from ai_sci.experiment.base import ConfigError, installed_plugins, load_plugin

if TYPE_CHECKING:
    from ai_sci.agent.journal import Message


class Editor(Answerer, Protocol):
    """Whoever answers the conversation and changes the files."""

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
        """The reply to `messages`, which end with what is to be done now.

        `files` are the texts of the editable files that exist, `editable` the names of all. A reply with `files` gives
        new texts of any of them, and its text is not searched for edits; one without is. The keywords are those of
        `Model.complete`. Raises ModelUnavailable when there is no reply to be had.
        """
        ...


class ModelEditor:
    """A language model: its edits are in its reply's text, in one of the edit formats (`ai_sci.agent.edits`)."""

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
        return self._model.complete(
            messages, turn=turn, on_delta=on_delta, on_failure=on_failure, before_try=before_try
        )


def open_editor(name: str, *, api_base: str | None = None) -> Editor:
    """What `--model` names: KIND:REST for an installed editor (`ai_sci.editors`) of that kind, else a model.

    Raises ConfigError as `open_model`, and for an editor whose package cannot be loaded.
    """
    kind, colon, rest = name.partition(":")
    entry = installed_plugins("ai_sci.editors").get(kind) if colon and kind not in _MODELS else None
    if entry is None:
        return ModelEditor(open_model(name, api_base=api_base))
    if api_base is not None:
        raise ConfigError(f"--api-base is for models, and {name} is an editor of {entry.value}")
    return load_plugin(entry)(rest)


_MODELS = ("scripted", "replay", "history")  # kinds of fixed replies, which no package can replace
