"""`ai-sci batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ai_sci.agent.cli.completion import template_names
from ai_sci.agent.cli.ending import drive_batch, is_detached
from ai_sci.agent.cli.grouping import given, refuse
from ai_sci.agent.cli.options import (
    RUNS,
    AttemptOptions,
    BudgetOptions,
    EngineOptions,
    ModelOptions,
    RunsDir,
    SessionBudgetOptions,
    read_engine,
    run_options,
)


def batch(
    ideas: Annotated[
        str, Option(metavar="FILE|NAME,NAME|all", help="The ideas; TEMPLATE/NAME where there are several templates.")
    ],
    template: Annotated[
        list[str] | None,
        Option(
            metavar="DIR|NAME", help="A template; repeat it for several. [default: sae]", autocompletion=template_names
        ),
    ] = None,
    slots: Annotated[
        int | None, Option(metavar="N", min=1, help="Attempts at the same time, each on an equal share of the CPUs.")
    ] = None,
    gpus: Annotated[str | None, Option(metavar="0,1,…", help="GPUs to use, one attempt on each.")] = None,
    at_once: Annotated[
        int | None,
        Option(metavar="N", min=1, help="Sessions open at the same time, thinking ones included. [default: 32]"),
    ] = None,
    add_to: Annotated[
        Path | None, Option(metavar="BATCH", help="Add the ideas to this batch, which may be running.")
    ] = None,
    runs_dir: RunsDir = None,
    session: Annotated[str | None, Option(metavar="NAME", help="Name of the new batch.")] = None,
    *,
    model: ModelOptions,
    limits: BudgetOptions,
    each: SessionBudgetOptions,
    attempts: AttemptOptions,
    engine: EngineOptions,
) -> None:
    """Work on many ideas at once, each in its own session, sharing this machine's GPUs or CPUs."""
    from ai_sci.agent.batch import AT_ONCE, BatchOptions, add_ideas, folder_of, run_batch
    from ai_sci.agent.commands import engine_kind
    from ai_sci.agent.session import PlainScreen
    from ai_sci.experiment.base import ConfigError

    if slots is not None and gpus is not None:
        raise ConfigError("--slots and --gpus exclude each other: a slot is a GPU, or a share of the CPUs.")
    if not engine_kind(engine.engine or "local").uses_slots:
        why = f"is for this machine: --engine {engine.engine} decides what runs where"
        refuse(given(slots=slots, gpus=gpus), why)
    options = BatchOptions(
        ideas=ideas,
        templates=tuple(template or ["sae"]),
        name=session,
        slots=slots,
        gpus=_gpus(gpus),
        at_once=at_once or AT_ONCE,
        budgets=limits.read(),
        session=run_options(model, attempts, each.read(), idea="", runs_dir=runs_dir or RUNS, **read_engine(engine)),
    )
    if add_to is not None:
        of_batch = {"slots": slots, "gpus": gpus, "at_once": at_once, "runs_dir": runs_dir, "session": session}
        others = given(model, limits, each, attempts, engine, **of_batch)
        refuse(others, "is the batch's own and cannot differ for added ideas")
        add_ideas(add_to, options, PlainScreen())
    elif not is_detached(engine, lambda: folder_of(options), session):
        drive_batch(lambda screen: run_batch(options, screen))


def _gpus(text: str | None) -> tuple[str, ...]:
    from ai_sci.experiment.base import ConfigError

    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"--gpus {text}: name each GPU once, such as 0,1")
    return names
