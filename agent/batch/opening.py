"""`ai-sci batch`: many ideas, a session for each, and one journal for the batch."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from ai_sci import __version__
from ai_sci.agent.batch.driver import Driver
from ai_sci.agent.batch.events import BATCH_EVENT_TYPES, BatchEvent, BatchResumed, BatchStarted, IdeaAdded
from ai_sci.agent.batch.plan import (
    LOGS,
    BatchOptions,
    Planned,
    find_ideas,
    kept_options,
    leave_request,
    named_sessions,
    options_of,
    requests,
)
from ai_sci.agent.batch.preload import begin_preload, preload
from ai_sci.agent.batch.slot_allocator import SlotAllocator
from ai_sci.agent.batch.state import BATCH_JOURNAL, BatchState, fold_batch, read_batch, state_of
from ai_sci.agent.budgets import Budgets
from ai_sci.agent.commands import (
    ResumeOptions,
    RunOptions,
    SessionStopped,
    asked_model,
    check_git,
    check_machine,
    choose_model,
    engine_kind,
    limits_of,
    numbered_folder,
    session_folder,
)
from ai_sci.agent.edits import load_edit_formats
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.journal import Record, Records, Status
from ai_sci.agent.models import require_known
from ai_sci.agent.session import Screen, folder_in_making, is_driven, locked, wait_for_leftovers, write_records
from ai_sci.experiment.attempt import ExecutionContext, prepare_execution
from ai_sci.experiment.base import AiSciError, ConfigError, EnvironmentFailed, machine_memory
from ai_sci.experiment.sandbox import Sandbox, find_sandbox
from ai_sci.experiment.slots import Slot, cpu_slots, gpu_slots, machine_gpus
from ai_sci.experiment.template import load_template

_PICK_UP = 10.0  # seconds for a running batch to notice new ideas


def run_batch(options: BatchOptions, screen: Screen) -> tuple[Path, Status]:
    """Creates a batch and runs it to its end. Raises ConfigError or EnvironmentFailed before it is created."""
    model = asked_model(options.session.model)
    options = dataclasses.replace(options, session=dataclasses.replace(options.session, model=model))
    planned = find_ideas(options)
    folder = folder_of(options)
    slots = _slots(options.slots, options.gpus, options.session.engine)
    begin_preload()
    executions = Executions(options.session, len(slots or ()), screen)
    check_machine()
    check_git(folder.parent)
    for note in dict.fromkeys(note for one in planned for note in one.idea.notes):
        screen.note(note)
    _check_models(planned, options.session, options.budgets, screen)
    for one in planned:
        _require_slots(executions(str(one.template.folder)), slots)
    ideas = named_sessions(planned, ())
    while True:
        try:
            _create_folder(folder, options, ideas, slots)
            break
        except ConfigError:
            if options.name or not folder.exists():
                raise
            folder = folder_of(options)  # another batch took this name meanwhile
    screen.note(f"{len(ideas)} ideas, {_places(slots)}. Watch them with: ai-sci watch {folder}")
    return folder, _drive(folder, executions, ResumeOptions(), screen)


def _create_folder(folder: Path, options: BatchOptions, ideas: list[IdeaAdded], slots: list[Slot] | None) -> None:
    started = BatchStarted(
        batch=folder.name,
        options=kept_options(options.session),
        engine=options.session.engine,
        slots=len(slots or ()),
        gpus=[slot.gpu for slot in slots or () if slot.gpu is not None],
        budgets=dataclasses.asdict(options.budgets),
        version=__version__,
        at_once=options.at_once,
    )
    events: list[BatchEvent] = [started, *ideas]
    with folder_in_making(folder) as partial:
        (partial / LOGS).mkdir()
        write_records(partial / BATCH_JOURNAL, [Record(time.time(), event) for event in events])


def folder_of(options: BatchOptions) -> Path:
    """The folder for the new batch. Raises ConfigError when it exists or cannot be written."""
    if options.name:
        return session_folder(options.session.runs_dir, options.name)
    return numbered_folder(options.session.runs_dir, f"{time.strftime('%Y%m%d_%H%M%S')}_batch", "_")


def resume_batch(folder: Path, options: ResumeOptions, budgets: Budgets, screen: Screen) -> tuple[Path, Status]:
    """Resumes every unfinished session. `budgets` override the earlier ones where given."""
    folder = folder.resolve()
    state = read_batch(folder)
    unfinished = [name for name, idea in state.ideas.items() if not idea.done]
    if not unfinished and not state.status.resumable and not requests(folder):
        screen.note(f"{folder.name} has ended ({state.status}): there is nothing to resume.")
        return folder, state.status
    assert state.started is not None  # read_batch refuses a journal without it
    session = options_of(state.options)
    changed = {"model": options.model, "api_base": options.api_base, "max_runs": options.max_runs, "wait": options.wait}
    session = dataclasses.replace(session, **{name: value for name, value in changed.items() if value is not None})
    session = dataclasses.replace(session, budgets=options.budgets.with_defaults(session.budgets))
    load_edit_formats()  # no session could go on without one of them
    resumed = BatchResumed(kept_options(session), dataclasses.asdict(budgets.with_defaults(state.budgets)))
    slots = _slots_of(state)
    begin_preload()
    executions = Executions(session, len(slots or ()), screen)
    for template in {state.ideas[name].added.template for name in unfinished}:
        try:
            executions(template)
        except (ConfigError, EnvironmentFailed) as error:  # ideas with other templates can still run
            screen.note(f"ai-sci: {error}")
    return folder, _drive(folder, executions, options, screen, resumed)


def add_ideas(folder: Path, options: BatchOptions, screen: Screen) -> None:
    """Adds ideas to a batch, running or not, once everything their templates need is prepared."""
    folder = folder.resolve()
    state = read_batch(folder)
    session = options_of(state.options)
    planned = find_ideas(dataclasses.replace(options, session=session))
    new = named_sessions(planned, [idea.added for idea in state.ideas.values()])
    if not new:
        screen.note(f"{folder.name} has all of these ideas already.")
        return
    executions = Executions(session, 1, screen)
    _check_models(planned, session, state.budgets, screen)
    slots = _slots_of(state)
    for one in new:
        _require_slots(executions(one.template), slots)
    wanted = {(one.template, one.idea["Name"]) for one in new}
    leave_request(folder, [one for one in planned if (str(one.template.folder), one.idea.name) in wanted])
    deadline = time.monotonic() + _PICK_UP
    while requests(folder) and is_driven(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    taken = "it has taken them in" if not requests(folder) else "it will take them in when it can"
    how = taken if is_driven(folder) else f"they wait for: ai-sci resume {folder}"
    screen.note(f"{len(new)} idea{'s' * (len(new) != 1)} for {folder.name}: {how}")


def batch_exit_code(folder: Path, status: Status) -> int:
    """0 if some session accepted a run, 1 if none did, 3 if the batch stopped early and can be resumed."""
    if status.resumable:
        return 3
    sessions = [state_of(folder / name) for name in read_batch(folder).ideas]
    return 0 if any(session is not None and session.accepted for session in sessions) else 1


class Executions:
    """The execution context of each template, prepared once, before the first session that needs it."""

    def __init__(self, options: RunOptions, slots: int, screen: Screen) -> None:
        self._options, self._slots, self._screen = options, slots, screen
        self._ready: dict[str, ExecutionContext] = {}
        self._sandbox: Sandbox | None = None

    def __call__(self, folder: str) -> ExecutionContext:
        """The execution context for the template in `folder`. Raises ConfigError and EnvironmentFailed."""
        if folder not in self._ready:
            self._ready[folder] = self._make(folder)
        return self._ready[folder]

    def _make(self, folder: str) -> ExecutionContext:
        options = self._options
        self._sandbox = self._sandbox or find_sandbox(options.sandbox, options.allow_unsandboxed)
        template = load_template(folder, options.overrides)
        limits = limits_of(template, options)
        if limits.memory is None and self._slots > 1:
            limits = dataclasses.replace(limits, memory=int(0.8 * machine_memory() / self._slots))
        kind = engine_kind(options.engine)
        kind.check(limits, options.engine_options, self._screen.note)
        machine = kind.conditions(options.engine_options)
        return prepare_execution(template, limits, options.python, self._sandbox, self._screen.note, machine=machine)


def _drive(
    folder: Path, executions: Executions, options: ResumeOptions, screen: Screen, resumed: BatchResumed | None = None
) -> Status:
    try:
        wait_for_leftovers(folder)  # after a kill, its sessions hold the lock until they end
        with signals_interrupt(), locked(folder):
            preload()
            records = Records(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)
            try:
                if resumed is not None:
                    records.append(resumed)
                state = fold_batch(records.entries)
                allocator = SlotAllocator(_slots_of(state))
                return Driver(folder, records, state, allocator, executions, options, screen).drive()
            except AiSciError as error:
                raise BatchStopped(folder, str(error)) from error
            finally:
                records.close()
    except KeyboardInterrupt:
        raise BatchStopped(folder, "stopped by a signal") from None
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise BatchStopped(folder, what) from error


class BatchStopped(SessionStopped):
    """The batch could not continue. Everything its sessions journalled is kept."""

    what = "batch"


def _check_models(planned: list[Planned], options: RunOptions, shared: Budgets, screen: Screen) -> None:
    """Finds every problem with a model before the first session starts."""
    seen: set[str] = set()
    for one in planned:
        key = options.model or f"{one.template.folder}/{one.idea.name}"
        if key not in seen:
            seen.add(key)
            note = screen.note if len(seen) == 1 else lambda _: None  # note it only once
            _, model = choose_model(options.model, options.api_base, one.template, one.idea, note)
            window = options.context_window or one.template.context_window or model.context_window
            require_known(model, options.budgets, window)
            require_known(model, shared, window)


def _require_slots(execution: ExecutionContext, slots: list[Slot] | None) -> None:
    """Raises ConfigError when an attempt needs more GPUs than the batch has."""
    gpus = [slot.gpu for slot in slots or () if slot.gpu is not None]
    if gpus and execution.limits.gpus > len(gpus):
        raise ConfigError(
            f"an attempt of {execution.template.name} needs {execution.limits.gpus} GPUs ([limits] gpus in its "
            f"template.toml), and the batch has {len(gpus)}: name more with --gpus."
        )


def _slots_of(state: BatchState) -> list[Slot] | None:
    assert state.started is not None  # the first record of every batch
    return _slots(state.started.slots, tuple(state.started.gpus), state.started.engine)


def _slots(number: int | None, gpus: tuple[str, ...], engine: str) -> list[Slot] | None:
    """The batch's slots: the given GPUs, so many CPU shares, or a default for this machine; None for a cluster."""
    if not engine_kind(engine).uses_slots:
        return None
    if gpus:
        return gpu_slots(gpus)
    if number:
        return cpu_slots(number)
    if here := machine_gpus():
        return gpu_slots(here)
    cpus = len(os.sched_getaffinity(0))
    return cpu_slots(max(min(2, cpus), cpus // 4))


def _places(slots: list[Slot] | None) -> str:
    if slots is None:
        return "as many attempts at once as the engine takes"
    return f"{len(slots)} at once on {', '.join(slot.name for slot in slots)}"
