"""Opens a session from the options of `ai-sci run`, drives it, and turns its end into an exit code."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_sci.agent.budgets import Budgets, OwnResources, ResourceBroker
from ai_sci.agent.commands.engines import engine_kind, open_engine
from ai_sci.agent.commands.model_choice import asked_model, choose_model
from ai_sci.agent.commands.new_session import check_machine, numbered_folder, session_folder
from ai_sci.agent.commands.replay_driver import follow, recorded_origin, replays
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.journal import Resumed, SandboxFound, SessionStarted, Status, authorship
from ai_sci.agent.loop import Editor, SessionContext, drive
from ai_sci.agent.models import prepare_model, require_known
from ai_sci.agent.session import Screen, Session, create_folder, read_state
from ai_sci.experiment.attempt import ExecutionContext, prepare_execution
from ai_sci.experiment.base import AiSciError, ConfigError, Limits
from ai_sci.experiment.sandbox import find_sandbox
from ai_sci.experiment.template import Idea, Template, find_idea, load_template


class SessionStopped(AiSciError):
    """An open session cannot continue (disk full, interpreter gone, git refused); the journal is kept."""

    exit_code = 3
    what = "session"

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"the {self.what} stopped: {why.rstrip('.')}. Fix this, then `ai-sci resume {folder}` continues."
        )
        self.folder, self.why = folder, why

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.folder, self.why)  # for pickling: the default would pass the message only


@dataclass(frozen=True)
class RunOptions:
    """The options of `ai-sci run`; None means the template's value or the default."""

    idea: str | Idea
    template: str = "sae"
    ideas_file: Path | None = None
    model: str | None = None
    api_base: str | None = None
    max_runs: int | None = None
    max_failures: int | None = None
    notes: str = ""  # notes.txt at the start
    created: tuple[str, ...] = ()  # files that may be edited beside the template's
    runs_dir: Path = Path("runs")
    session: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None  # seconds
    memory: int | None = None  # bytes
    disk: int | None = None  # bytes
    budgets: Budgets = Budgets()
    context_window: int | None = None  # tokens
    wait: float | None = None  # seconds, for a usage limit of the model's server to reset
    python: Path | None = None
    sandbox: str = "auto"
    allow_unsandboxed: bool = False
    engine: str = "local"
    engine_options: dict[str, str] = field(default_factory=dict)


def run(options: RunOptions, screen: Screen) -> tuple[Path, Status]:
    """Opens a session and drives it until it ends.

    Raises ConfigError or EnvironmentFailed before it is opened, SessionStopped afterwards.
    """
    template = load_template(options.template, options.overrides)
    template = dataclasses.replace(template, editable=(*template.editable, *options.created))
    idea = _idea_of(template, options)
    folder = _new_folder(idea, options)
    for note in idea.notes:
        screen.note(note)
    asked = asked_model(options.model)
    prepare_model(asked)  # loads in the background while we look for a sandbox
    sandbox = find_sandbox(options.sandbox, options.allow_unsandboxed)
    check_machine()
    model_name, model = choose_model(asked, options.api_base, template, idea, screen.note, options.wait)
    require_known(model, options.budgets, options.context_window or template.context_window or model.context_window)
    limits = limits_of(template, options)
    kind = engine_kind(options.engine)
    kind.check(limits, options.engine_options, screen.note)
    machine = kind.conditions(options.engine_options)
    execution = prepare_execution(template, limits, options.python, sandbox, screen.note, machine=machine)
    while True:
        try:
            create_session(folder, options, idea, execution, model_name, model)
            break
        except ConfigError:
            if options.session or not folder.exists():
                raise
            folder = _new_folder(idea, options)  # another process or thread took this name meanwhile
    return folder, drive_session(folder, execution, model, screen)


def create_session(
    folder: Path, options: RunOptions, idea: Idea, execution: ExecutionContext, model_name: str, model: Editor
) -> None:
    """Creates a session's folder, ready to be driven. Raises ConfigError when it exists or cannot be written."""
    template = execution.template
    create_folder(
        folder,
        template,
        {
            "session": folder.name,
            "idea": {**idea.raw, "Name": idea.name, "Title": idea.title, "Experiment": idea.experiment},
            "template": str(template.folder),
            "files": [str(path) for path in template.files()],
            "brings_baseline": template.brings_baseline,
            "overrides": options.overrides,
            "model": model_name,
            "api_base": options.api_base,
            "max_runs": options.max_runs or template.max_runs,
            "max_failures": options.max_failures or template.max_failures,
            "limits": dataclasses.asdict(execution.limits),
            "python": str(options.python) if options.python else None,
            "sandbox_choice": options.sandbox,
            "allow_unsandboxed": options.allow_unsandboxed,
            **options.budgets.by_option,
            "context_window": options.context_window or template.context_window or model.context_window,
            "wait": options.wait,
            **authorship(),
            "beside": {path: str(place) for path, place in template.beside.items()},
            "engine": options.engine,
            "engine_options": options.engine_options,
            "created": list(options.created),
        },
        options.notes,
    )


def folder_of(options: RunOptions) -> Path:
    """Where `run` would open its session. Raises ConfigError."""
    idea = _idea_of(load_template(options.template, options.overrides), options)
    return _new_folder(idea, options)


def _idea_of(template: Template, options: RunOptions) -> Idea:
    return options.idea if isinstance(options.idea, Idea) else find_idea(template, options.idea, options.ideas_file)


def _new_folder(idea: Idea, options: RunOptions) -> Path:
    if options.session:
        return session_folder(options.runs_dir, options.session)
    return numbered_folder(options.runs_dir, f"{time.strftime('%Y%m%d_%H%M%S')}_{idea.slug}", "_")


def execution_context_of(folder: Path, started: SessionStarted, screen: Screen) -> ExecutionContext:
    """The execution context of the session in `folder`, with the template and limits it began with."""
    kind = engine_kind(started.engine)
    kind.require(started.engine_options)
    template = template_of(folder, started)
    sandbox = find_sandbox(started.sandbox_choice, started.allow_unsandboxed)
    limits = Limits(**started.limits)  # type: ignore[arg-type]  the journal holds the output of asdict
    python = Path(started.python) if started.python else None
    has_step = template.prepare is not None
    trusted = dataclasses.replace(load_template(started.template), settings=template.settings) if has_step else None
    machine = kind.conditions(started.engine_options)
    return prepare_execution(template, limits, python, sandbox, screen.note, trusted, machine)


def template_of(folder: Path, started: SessionStarted) -> Template:
    """The template as it was when the session began: the session's own copy, with the settings of that time."""
    copy = load_template(str(folder), started.overrides)
    return dataclasses.replace(
        copy,
        name=Path(started.template).name,
        editable=(*copy.editable, *started.created),
        settings=json.loads((folder / "settings.json").read_text()) if copy.settings else {},
        copied=tuple(map(Path, started.files)),
        brings_baseline=started.brings_baseline,
        beside={path: Path(place) for path, place in started.beside.items()},
    )


def drive_session(
    folder: Path,
    execution: ExecutionContext,
    model: Editor,
    screen: Screen,
    resumed: Resumed | None = None,
    broker: ResourceBroker | None = None,
) -> Status:
    """Drives the session until it ends, after recording `resumed` if it is resumed. Raises SessionStopped."""
    session, sandbox = Session(folder, execution.template.editable, screen), execution.sandbox
    try:
        with signals_interrupt():
            try:
                if resumed is not None:
                    if not session.state.status.resumable:
                        return session.state.status  # another process ended it a moment ago
                    session.rewind()
                    session.record(resumed)
                session.record(SandboxFound(sandbox.tier, sandbox.backend, dict(sandbox.controls)))
                started = session.started
                origin = recorded_origin(started)
                broker = broker or OwnResources(elsewhere=not engine_kind(started.engine).uses_slots)
                engine = open_engine(started.engine, started.engine_options, broker, session.time_left)
                context = SessionContext(session, execution, model, broker, engine, origin if started.reuse else None)
                return follow(context, origin) if origin and replays(model, started) else drive(context)
            except KeyboardInterrupt:
                # The interrupt may have come in the middle of an append, so read back what reached the disk.
                session.reopen_journal()
                if session.state.status is Status.running:
                    session.end(Status.interrupted, "stopped by a signal")
                return session.state.status
            except OSError as error:
                what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
                raise SessionStopped(folder, what) from error
            except AiSciError as error:
                raise SessionStopped(folder, str(error)) from error
    finally:
        session.close()


def limits_of(template: Template, options: RunOptions) -> Limits:
    """The template's limits for an attempt, overridden by the options and adjusted by the engine."""
    asked = {"time": options.timeout, "memory": options.memory, "disk": options.disk}
    limits = dataclasses.replace(template.limits, **{name: value for name, value in asked.items() if value is not None})
    return engine_kind(options.engine).as_asked(limits, options.engine_options)


def exit_code(folder: Path, status: Status) -> int:
    """0: at least one run was accepted; 1: none was; 3: it stopped early and can be resumed."""
    if status.resumable:
        return 3
    return 0 if read_state(folder).accepted else 1
