"""`ai-sci resume SESSION`: restores a stopped session and drives it on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ai_sci.agent.budgets import Budgets, ResourceBroker
from ai_sci.agent.commands.model_choice import absolute_model
from ai_sci.agent.commands.start import SessionStopped, drive_session, execution_context_of, template_of
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.journal import Resumed, State, Status, authorship
from ai_sci.agent.loop import Editor, open_editor
from ai_sci.agent.models import require_known
from ai_sci.agent.session import GitFailed, GitLog, Screen, journal_length, locked, read_state, wait_for_leftovers
from ai_sci.experiment.base import AiSciError
from ai_sci.experiment.template import Template


@dataclass(frozen=True)
class ResumeOptions:
    """The options of `ai-sci resume`; None means the session's value."""

    model: str | None = None
    api_base: str | None = None
    max_runs: int | None = None
    budgets: Budgets = Budgets()  # include what was spent before
    context_window: int | None = None  # tokens
    wait: float | None = None  # seconds
    # As in ExecutionContext; the sessions of a batch share it.
    begun: float = field(default_factory=time.time, compare=False)


def resume(
    folder: Path, options: ResumeOptions, screen: Screen, broker: ResourceBroker | None = None
) -> tuple[Path, Status]:
    """Continues a session that stopped early; one that has ended is left alone and its status returned."""
    folder = folder.resolve()
    wait_for_leftovers(folder)
    length = journal_length(folder)
    state = read_state(folder)
    started = state.started
    assert started is not None  # read_state refuses a journal without it
    if not state.status.resumable:
        screen.note(f"{folder.name} has ended ({state.status}): there is nothing to resume.")
        return folder, state.status
    # Restore the files before reading the template: an attempt without a sandbox may have changed it.
    put_back(folder, state.head, length)
    model, resumed = resolve_resume(options, state, template_of(folder, started), screen)
    execution = dataclasses.replace(execution_context_of(folder, started, screen), begun=options.begun)
    return folder, drive_session(folder, execution, model, screen, resumed, broker)


def resolve_resume(options: ResumeOptions, state: State, template: Template, screen: Screen) -> tuple[Editor, Resumed]:
    """The model and limits that a session continues with: from the options, else the session's own."""
    name = absolute_model(options.model or state.model)
    same = name == state.model
    api_base = options.api_base or (state.api_base if same else None)
    budgets = options.budgets.with_defaults(state.budgets)
    wait = state.wait if options.wait is None else options.wait
    model = open_editor(name, api_base=api_base, wait=wait)
    known = state.context_window if same else template.context_window or model.context_window
    window = options.context_window or known
    if options.budgets.cost is None and budgets.cost is not None and model.worst_case_cost([]) is None:
        screen.note(f"No limit on cost from here on: litellm knows no price for {name}.")
        budgets = dataclasses.replace(budgets, cost=None)
    if options.budgets.tokens is None and budgets.tokens is not None and model.worst_case_tokens([], window) is None:
        screen.note(f"No limit on tokens from here on: nobody knows how long a reply of {name} may be.")
        budgets = dataclasses.replace(budgets, tokens=None)
    require_known(model, budgets, window)
    return model, Resumed(
        name,
        api_base,
        options.max_runs or state.max_runs,
        context_window=window,
        wait=wait,
        **budgets.by_option,
        **authorship(),
    )


@contextmanager
def of_open_session(folder: Path) -> Generator[None, None, None]:
    """Turns errors and signals between two drives of a session into SessionStopped, since it can be resumed."""
    try:
        with signals_interrupt():
            yield
    except KeyboardInterrupt:
        raise SessionStopped(folder, "interrupted by a signal") from None
    except SessionStopped:
        raise
    except AiSciError as error:
        raise SessionStopped(folder, str(error)) from error


def put_back(folder: Path, head: str, length: int) -> None:
    """Resets the tracked files to `head`, unless the journal has grown beyond `length` bytes and `head` is outdated.

    Raises ConfigError when another process drives the session, SessionStopped when git fails.
    """
    try:
        with locked(folder) as lock:
            if journal_length(folder) == length:
                GitLog(folder, lock).rewind(head, ())
    except GitFailed as error:
        raise SessionStopped(folder, str(error)) from error
