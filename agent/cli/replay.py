"""`ai-sci replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ai_sci.agent.cli.completion import idea_names
from ai_sci.agent.cli.ending import drive_session
from ai_sci.agent.cli.grouping import given, refuse
from ai_sci.agent.cli.options import (
    RUNS,
    AttemptOptions,
    BudgetOptions,
    ModelOptions,
    RunsDir,
    SessionName,
    TemplateName,
    run_options,
)


def replay(
    recorded: Annotated[
        Path, Argument(metavar="SESSION|HISTORY", help="A session's folder, or the file of an aider chat history.")
    ],
    from_turn: Annotated[
        int | None, Option(metavar="K", help="Keep a session's history up to its K-th reply, then ask --model.")
    ] = None,
    reuse: Annotated[
        bool, Option("--reuse", help="Take over results of identical attempts instead of running them again.")
    ] = False,
    session: SessionName = None,
    runs_dir: RunsDir = None,
    history_session: Annotated[
        int | None, Option(metavar="N", help="Which session of the chat history, if it holds several.")
    ] = None,
    template: TemplateName = None,
    idea: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            help="The idea of the chat history, if not the one it names.",
            autocompletion=idea_names,
        ),
    ] = None,
    *,
    model: ModelOptions,
    limits: BudgetOptions,
    attempts: AttemptOptions,
) -> None:
    """Re-run a recorded session and compare every prompt, branch off from it, or replay an aider chat history.

    --model continues where the recorded replies end. A session is replayed with its own template, settings and limits:
    --template, --set, --sandbox and the other options of attempts are for chat histories.
    """
    from ai_sci.experiment.base import ConfigError

    budgets = limits.read()
    if not recorded.exists():
        raise ConfigError(f"{recorded}: there is no such file or folder.")
    if recorded.is_file():
        refuse(given(from_turn=from_turn, reuse=reuse), "is for a session of ours, not for a chat history")
        from ai_sci.agent.commands.replay_history import examine, replay_history

        asked = {"idea": idea or "", "template": template or "sae", "runs_dir": runs_dir or RUNS, "session": session}
        number = examine(recorded, history_session)
        of_history = run_options(model, attempts, budgets, **asked)
        drive_session(lambda screen: replay_history(recorded, number, of_history, screen))
    others = given(attempts, history_session=history_session, template=template, idea=idea)
    refuse(others, "is for a chat history: a session is replayed with its own")
    from ai_sci.agent.commands.replay import ReplayOptions, replay

    options = ReplayOptions(
        **model.read(), from_turn=from_turn, reuse=reuse, session=session, runs_dir=runs_dir or RUNS, budgets=budgets
    )
    drive_session(lambda screen: replay(recorded, options, screen))
