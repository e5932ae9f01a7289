"""`ai-sci replay FILE`: diagnoses an aider chat history and plays its replies on one of our templates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ai_sci.agent.aider_history import (
    choose_session,
    diagnose,
    playback_of,
    read_history,
    recognise_idea,
    session_list,
)
from ai_sci.agent.commands.model_choice import absolute_model
from ai_sci.agent.commands.replay import after_the_recording
from ai_sci.agent.commands.resuming import ResumeOptions, resume
from ai_sci.agent.commands.start import RunOptions, run
from ai_sci.agent.journal import Status
from ai_sci.agent.loop import open_editor
from ai_sci.agent.models import require_known
from ai_sci.agent.session import Screen
from ai_sci.experiment.base import ConfigError
from ai_sci.experiment.template import load_template


def examine(file: Path, number: int | None) -> int:
    """Prints the diagnosis of one session of the history, and returns its number.

    Raises ConfigError when there are several and none was chosen (after listing them), or nothing to replay.
    """
    sessions = read_history(file)
    if number is None and len(sessions) > 1:
        print(session_list(sessions), flush=True)
    session = choose_session(file, sessions, number)
    print(diagnose(session, len(sessions)), flush=True)
    if not session.replies:
        raise ConfigError(f"{file} holds no reply in session {session.number}: there is nothing to replay.")
    return session.number


def replay_history(file: Path, number: int, options: RunOptions, screen: Screen) -> tuple[Path, Status]:
    """Runs a new session on the recorded replies; then `options.model` continues, if there is one.

    An empty `options.idea` takes the idea from the history. Raises ConfigError or EnvironmentFailed before the session
    is opened.
    """
    recorded = f"history:{file.expanduser().resolve()}#{number}"
    live = absolute_model(options.model) if options.model else None
    if live:
        model = open_editor(live, api_base=options.api_base, wait=options.wait)
        require_known(model, options.budgets, options.context_window or model.context_window)
    session = choose_session(file, read_history(file), number)
    template, max_runs = load_template(options.template, options.overrides), options.max_runs
    if not options.idea:
        recognised = recognise_idea(session, template)
        screen.note(f"Idea: {recognised.idea.title} ({recognised.how}).")
        options, max_runs = dataclasses.replace(options, idea=recognised.idea), max_runs or recognised.max_runs
    playback, max_runs = playback_of(session), max_runs or template.max_runs
    if left_out := len(playback.left_out):
        what = "one reply" if left_out == 1 else f"{left_out} replies"
        screen.note(f"Not played: {what} of the writing-up, since no paper is written here.")
    recorded_options = dataclasses.replace(
        options,
        model=recorded,
        api_base=None,
        context_window=None,
        notes=playback.notes,
        created=tuple(name for name in playback.created if not (template.folder / name).exists()),
        max_runs=options.max_runs or max(max_runs, playback.max_runs or 0),
        max_failures=max(template.max_failures, playback.max_failures or 0),
    )
    folder, status = run(recorded_options, screen)
    live_options = ResumeOptions(
        live, options.api_base, max_runs, context_window=options.context_window, wait=options.wait
    )
    resumed = (lambda: resume(folder, live_options, screen)[1]) if live else None
    return folder, after_the_recording(folder, status, resumed, screen)
