"""`ai-sci replay SESSION`: runs a recorded session again, or branches off at one of its turns."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_sci.agent.budgets import Budgets
from ai_sci.agent.commands.new_session import check_machine, numbered_folder, session_folder
from ai_sci.agent.commands.resuming import ResumeOptions, of_open_session, resolve_resume
from ai_sci.agent.commands.start import drive_session, execution_context_of, template_of
from ai_sci.agent.journal import Branched, Entry, Resumed, SessionStarted, State, Status, authorship, fold
from ai_sci.agent.loop import Editor, open_editor
from ai_sci.agent.models import USED_UP
from ai_sci.agent.session import (
    JOURNAL,
    GitFailed,
    GitLog,
    Recording,
    Screen,
    folder_in_making,
    load_recording,
    read_state,
    write_records,
)
from ai_sci.experiment.attempt import ExecutionContext, copy_run
from ai_sci.experiment.base import ConfigError


@dataclass(frozen=True)
class ReplayOptions:
    """The options of `ai-sci replay`; None means the recorded session's value."""

    model: str | None = None
    api_base: str | None = None
    from_turn: int | None = None  # counted from 1
    reuse: bool = False
    session: str | None = None
    runs_dir: Path = Path("runs")
    max_runs: int | None = None
    budgets: Budgets = Budgets()
    context_window: int | None = None  # of the live model, in tokens
    wait: float | None = None  # seconds, for a usage limit of the live model's server to reset


def replay(origin: Path, options: ReplayOptions, screen: Screen) -> tuple[Path, Status]:
    """Opens a new session from the one in `origin`, which is not modified, and drives it until it ends.

    Raises ConfigError or EnvironmentFailed before the new session is opened, SessionStopped afterwards.
    """
    recording = load_recording(origin)
    check_machine()
    if options.from_turn is not None:
        return _branch(recording, options.from_turn, options, screen)
    return _again(recording, options, screen)


def _again(recording: Recording, options: ReplayOptions, screen: Screen) -> tuple[Path, Status]:
    """Plays the recorded replies on the recorded template; then the live model continues, if there is one."""
    name = f"replay:{recording.folder}"
    recorded = open_editor(name)
    live = _live(options.model, options, recording, fold(recording.entries).max_runs, screen) if options.model else None
    started = dataclasses.replace(
        recording.started,
        model=name,
        api_base=None,
        max_runs=options.max_runs or recording.started.max_runs,
        **(Budgets.of(live[1]) if live else options.budgets).by_option,
        **authorship(),
        from_turn=0,
    )
    folder = _new_folder(recording, "replay", options)
    execution = _create(folder, recording, started, [], options, screen)
    status = drive_session(folder, execution, recorded, screen)
    live_half = functools.partial(drive_session, folder, execution, live[0], screen, live[1]) if live else None
    return folder, after_the_recording(folder, status, live_half, screen)


def _branch(recording: Recording, turn: int, options: ReplayOptions, screen: Screen) -> tuple[Path, Status]:
    """Keeps the recorded history up to the request of `turn`, which the live model then answers."""
    name = options.model or os.environ.get("AI_SCI_MODEL", "").strip()
    if not name:
        raise ConfigError("--from-turn needs --model NAME, the model that continues from there.")
    turns = len(recording.requests)
    if not 1 <= turn <= turns:
        there = f"--from-turn takes 1 to {turns}" if turns else "there is no turn to continue from"
        raise ConfigError(f"{recording.folder} holds {turns} requests to a model: {there}.")
    prefix = recording.prefix(turn)
    max_runs = fold(recording.entries[: recording.requests[turn - 1]]).max_runs
    model, resumed = _live(name, options, recording, max_runs, screen)
    branched = Branched(
        str(recording.folder),
        turn,
        resumed.model,
        resumed.api_base,
        resumed.max_runs,
        context_window=resumed.context_window,
        wait=resumed.wait,
        **Budgets.of(resumed).by_option,
        **authorship(),
    )
    started = dataclasses.replace(recording.started, from_turn=turn)
    folder = _new_folder(recording, f"turn{turn}", options)
    history = [*prefix[1:], Entry(time.time(), branched)]
    execution = _create(folder, recording, started, history, options, screen)
    return folder, drive_session(folder, execution, model, screen)


def _live(
    name: str, options: ReplayOptions, recording: Recording, max_runs: int, screen: Screen
) -> tuple[Editor, Resumed]:
    """The live model and its limits: from the options, else from the recorded session."""
    asked = ResumeOptions(
        name, options.api_base, options.max_runs, options.budgets, options.context_window, options.wait
    )
    state = dataclasses.replace(fold(recording.entries), max_runs=max_runs)
    return resolve_resume(asked, state, template_of(recording.folder, recording.started), screen)


def _new_folder(recording: Recording, what: str, options: ReplayOptions) -> Path:
    if options.session:
        return session_folder(options.runs_dir, options.session)
    return numbered_folder(options.runs_dir, f"{recording.folder.name[:80]}_{what}")


def _create(
    folder: Path,
    recording: Recording,
    started: SessionStarted,
    history: Sequence[Entry],
    options: ReplayOptions,
    screen: Screen,
) -> ExecutionContext:
    """Creates a session in `folder` with this history, the code as of its end, and the files of its finished runs."""
    started = dataclasses.replace(started, session=folder.name, origin=str(recording.folder), reuse=options.reuse)
    entries = [Entry(recording.entries[0].at if history else time.time(), started), *history]
    state = fold(entries)
    with folder_in_making(folder) as partial:
        for name in _finished(state):
            if (recording.folder / name).is_dir():
                (partial / name).parent.mkdir(exist_ok=True)
                copy_run(recording.folder / name, partial / name)
        try:
            GitLog(partial).adopt(recording.folder, state.head)
        except GitFailed as error:
            raise ConfigError(f"the history of {recording.folder} cannot be read: {error}") from error
        execution = execution_context_of(partial, started, screen)
        write_records(partial / JOURNAL, entries)
    return dataclasses.replace(execution, template=template_of(folder, started))


def _finished(state: State) -> list[str]:
    """The folders with the outcomes of all runs and attempts in `state`, relative to the session's folder."""
    assert state.started is not None
    names = [f"run_{record.run}" for record in state.accepted]
    names += [f"attempts/run_{one.run}.{one.attempt}" for record in state.runs.values() for one in record.attempts]
    if state.started.brings_baseline:
        names.append("run_0")
    elif state.baseline is not None:
        names += ["run_0", "attempts/run_0.1"]
    return names


def after_the_recording(folder: Path, status: Status, live: Callable[[], Status] | None, screen: Screen) -> Status:
    """Continues with `live` if the session stopped because the recorded replies were used up. Returns its status."""
    ended = read_state(folder).ended
    used_up = status is Status.model_unavailable and ended is not None and ended.reason.startswith(USED_UP)
    if not used_up:
        return status
    if live is None:
        screen.note(f"To continue with a live model: ai-sci resume {folder} --model NAME")
        return status
    with of_open_session(folder):
        return live()
