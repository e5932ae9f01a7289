"""`ai-sci run`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from ai_sci.agent.cli.completion import idea_names
from ai_sci.agent.cli.ending import drive_session, is_detached
from ai_sci.agent.cli.options import (
    RUNS,
    AttemptOptions,
    BudgetOptions,
    EngineOptions,
    IdeasFile,
    ModelOptions,
    RunsDir,
    SessionName,
    TemplateName,
    read_engine,
    run_options,
)


def run(
    idea: Annotated[
        str,
        Option(
            metavar="NAME|FILE",
            help="An idea of the template's ideas.json, or a JSON file with one idea.",
            autocompletion=idea_names,
        ),
    ],
    template: TemplateName = None,
    ideas: IdeasFile = None,
    runs_dir: RunsDir = None,
    session: SessionName = None,
    *,
    model: ModelOptions,
    limits: BudgetOptions,
    attempts: AttemptOptions,
    engine: EngineOptions,
) -> None:
    """Open a session for one idea: baseline, edits, experiments, plots, notes.

    With neither --model nor AI_SCI_MODEL, the scripted session of the template is played.
    """
    from ai_sci.agent.commands import start

    options = run_options(
        model,
        attempts,
        limits.read(),
        idea=idea,
        template=template or "sae",
        ideas_file=ideas,
        runs_dir=runs_dir or RUNS,
        session=session,
        **read_engine(engine),
    )
    if not is_detached(engine, lambda: start.folder_of(options), session):
        drive_session(lambda screen: start.run(options, screen))
