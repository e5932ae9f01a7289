"""`run`, `resume`, `replay` and `batch` for notebooks and scripts: they return values and raise typed errors.

They are silent: what the commands would print goes to the logger `ai_sci` at level INFO, or to stderr with
`progress=True`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_sci.agent.api.batch_process import run_apart
from ai_sci.agent.api.opening import open_batch, open_session
from ai_sci.agent.api.options import batch_options, resume_batch_options, with_keywords
from ai_sci.agent.api.values import BatchView, SessionView
from ai_sci.agent.batch import BatchOptions, is_batch
from ai_sci.agent.commands import ReplayOptions, ResumeOptions, RunOptions, SessionStopped
from ai_sci.agent.commands import replay as replaying
from ai_sci.agent.commands import resume as resume_session
from ai_sci.agent.commands import run as run_session
from ai_sci.agent.interrupts import handlers_restored
from ai_sci.agent.journal import Status
from ai_sci.agent.session import LogScreen, PlainScreen, Screen, open_screen
from ai_sci.experiment.base import AiSciError, ConfigError


class SessionInterrupted(KeyboardInterrupt):
    """The session or batch in `folder` was stopped cleanly by Ctrl-C, a notebook's interrupt, SIGTERM or SIGHUP.

    A KeyboardInterrupt, so that it also ends a script's loop over ideas and a notebook's "run all". `resume(folder)` or
    `resume_batch(folder)` continues it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} was interrupted; resume it to continue")
        self.folder = folder


def run(options: RunOptions | None = None, *, progress: bool = False, **keywords: Any) -> SessionView:
    """Runs a session for one idea; blocks until it ends.

    Takes RunOptions, or keywords (only `idea` is needed):
        idea            name in the template's ideas.json, a JSON file with one idea, or a dict with Name, Title and
                        Experiment
        template        name of a bundled template, or a folder ("sae"); ideas_file: another file of ideas
        model           any litellm name, "scripted:FOLDER" or "replay:SESSION"; by default AI_SCI_MODEL, else the
                        template's scripted session. api_base: the model's server
        max_runs        how many runs the model may make; max_failures: failures in a row that close a run
        context_window  tokens of the model's window; wait: longest wait for a usage limit to reset, seconds or "6h"
        notes           the text of notes.txt at the start; created: files that may be edited besides the template's
        runs_dir        where the session's folder goes ("runs"); session: its name
        overrides       the template's settings, {"epochs": 3}
        timeout, memory, disk       limits of one attempt: seconds or "2h", bytes or "8G"
        max_cost, max_tokens, max_time, max_gpu_hours, max_disk     budgets of the session (USD, seconds or "8h", …)
        python          an interpreter to use; sandbox: "auto", "bwrap" or "none"; allow_unsandboxed
        engine          "local", "slurm" or a plug-in's; engine_options: its options, {"partition": "gpu"}
    progress: show progress on stderr, as a live panel in a terminal.

    Returns the session even if it ended early or accepted no run: check its `status`. Raises ConfigError or
    EnvironmentFailed before the session exists, SessionStopped or SessionInterrupted (both have `folder`) afterwards.
    """
    run_options = with_keywords(RunOptions, options, keywords)
    return _drive(lambda screen: run_session(run_options, screen), progress)


def resume(
    session: str | os.PathLike[str],
    /,
    options: ResumeOptions | None = None,
    *,
    progress: bool = False,
    **keywords: Any,
) -> SessionView:
    """Continues a session that stopped early; one that has ended is returned unchanged.

    Takes ResumeOptions, or the keywords model, api_base, max_runs, context_window, wait and max_cost, max_tokens,
    max_time, max_gpu_hours, max_disk (these include what was spent before). Raises as `run`.
    """
    folder = Path(session).expanduser()
    if is_batch(folder):
        raise ConfigError(f"{folder} is a batch: use resume_batch(…).")
    resume_options = with_keywords(ResumeOptions, options, keywords)
    return _drive(lambda screen: resume_session(folder, resume_options, screen), progress)


def replay(
    recorded: str | os.PathLike[str],
    /,
    options: ReplayOptions | None = None,
    *,
    progress: bool = False,
    **keywords: Any,
) -> SessionView:
    """Replays a recorded session in a new one, or branches off from it.

    Takes ReplayOptions, or the keywords model and api_base (the model that continues after the recorded replies),
    from_turn (branch off at this turn, counted from 1), reuse (reuse the outcomes of identical attempts), session and
    runs_dir (of the new session), max_runs, context_window and the budgets of `run`. Raises as `run`.
    """
    origin = Path(recorded).expanduser()
    replay_options = with_keywords(ReplayOptions, options, keywords)
    return _drive(lambda screen: replaying.replay(origin, replay_options, screen), progress)


def batch(options: BatchOptions | None = None, *, progress: bool = False, **keywords: Any) -> BatchView:
    """Runs many ideas in parallel, each in its own session; blocks until all have ended.

    Takes BatchOptions, or keywords:
        ideas           "all", a name or a list of names, or a JSON file
        templates       one or several ("sae")
        slots, gpus     attempts at a time, or the GPUs to use ([0, 1]); at_once: sessions at a time
        name            name of the batch; runs_dir: where its folder goes
        max_cost, max_tokens, max_time, max_gpu_hours, max_disk     budgets of all sessions together
        session_max_cost, …                                         budgets of each
    and, for each session, the other keywords of `run`.

    The batch runs in its own process, which shuts down cleanly with this one. Raises ConfigError or EnvironmentFailed
    before the batch exists, BatchStopped or SessionInterrupted afterwards.
    """
    return _drive_batch("run_batch", (batch_options(options, keywords),), progress)


def resume_batch(batch: str | os.PathLike[str], /, *, progress: bool = False, **keywords: Any) -> BatchView:
    """Continues the unfinished sessions of a batch; one that has ended is returned unchanged.

    Keywords: model, api_base, max_runs, context_window, max_cost etc. of all sessions together, session_max_cost etc.
    of each. Raises as `batch`.
    """
    each, shared = resume_batch_options(keywords)
    return _drive_batch("resume_batch", (Path(batch).expanduser(), each, shared), progress)


def _drive(drive: Callable[[Screen], tuple[Path, Status]], progress: bool) -> SessionView:
    screen = open_screen() if progress else LogScreen()
    try:
        return open_session(_in_order(lambda: drive(screen)[0]))
    finally:
        screen.close()


def _drive_batch(function: str, arguments: tuple[Any, ...], progress: bool) -> BatchView:
    screen = PlainScreen() if progress else LogScreen()
    return open_batch(_in_order(lambda: run_apart(function, arguments, screen.note)))


def _in_order(work: Callable[[], Path]) -> Path:
    """The folder that `work` returns. Raises SessionInterrupted when a signal ended it."""
    with handlers_restored() as interrupted:
        try:
            folder = work()
        except AiSciError as error:
            if not interrupted():
                raise
            if isinstance(error, SessionStopped):
                raise SessionInterrupted(error.folder) from None
            raise KeyboardInterrupt from None  # there was no session yet
        if interrupted():
            raise SessionInterrupted(folder)
        return folder
