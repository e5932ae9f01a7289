"""The steps with the experiment: baseline, attempts, what becomes of them in git, plots."""

from __future__ import annotations

import shutil
from dataclasses import replace

from ai_sci.agent.budgets.broker import Amount
from ai_sci.agent.journal.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    OutcomeCommitted,
    PlotsFinished,
    RunClosed,
)
from ai_sci.agent.journal.state import Status
from ai_sci.agent.loop import prompting, spending
from ai_sci.agent.loop.reuse import earlier_attempt, earlier_baseline
from ai_sci.agent.loop.session_context import Work
from ai_sci.agent.session.git_log import split_artefacts
from ai_sci.agent.session.workspace import NOTES, PLOT
from ai_sci.experiment.attempt.engine import Began
from ai_sci.experiment.attempt.reuse import attempt_key
from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.base.errors import EnvironmentFailed
from ai_sci.experiment.base.process_tree import ProcessIdentity, end_leftover
from ai_sci.experiment.base.verdict import Verdict

_ROUNDING = 0.001  # seconds, of the limits in the journal
MAX_LOST = 3  # attempts in a row that end without a verdict through no fault of the code, before a session stops


def measure_baseline(work: Work) -> None:
    work.session.show("measuring the baseline (run 0)")
    key = work.setup.baseline_key
    place = Began(None)

    def begins(began: Began, plan: AttemptPlan) -> None:
        nonlocal place
        place = began
        if began.gpus:
            work.session.record(BaselineStarted(began.gpus, plan.time_limit))

    waited = 0.0

    def execute(plan: AttemptPlan) -> AttemptOutcome:
        nonlocal waited
        for _ in range(MAX_LOST):
            outcome, reached = spending.execute(work, plan, begins)
            if reached is not None:
                # A job's outcome lies there, which a resume with a higher budget would take for that of its own job.
                shutil.rmtree(plan.folder / "work", ignore_errors=True)
                raise reached
            waited = outcome.waited or place.waited
            if outcome.verdict is not Verdict.lost:
                return outcome
            spending.check_time(work)  # it may be lost because there is none left
            work.session.output(f"{outcome.reason}; it is repeated\n")
        raise EnvironmentFailed(
            f"the baseline was lost {MAX_LOST} times in a row, the last time because {outcome.reason}"
        )

    outcome = earlier_baseline(work, key) or work.setup.measure_baseline(
        work.session.folder, execute, work.session.output
    )
    commit = None
    if outcome.metrics:
        tracked, _ = split_artefacts(work.session.folder, work.session.folder / "run_0")
        commit = work.session.commit(
            [*tracked, "attempts/run_0.1/output.log"],
            f"run 0: baseline {outcome.verdict.value} ({outcome.source})",
            {
                "Run": 0,
                "Verdict": outcome.verdict.value,
                **prompting.metric_trailer(work.setup.template, outcome.metrics),
            },
            body="\n".join(outcome.reasons),
        )
    work.session.record(
        BaselineMeasured(
            outcome.metrics,
            outcome.verdict.value,
            list(outcome.reasons),
            outcome.source,
            commit,
            key,
            round(outcome.seconds, 3),
            place.gpus,
            round(waited + outcome.waited, 3),
        )
    )


def attempt(work: Work, kind: str) -> None:
    session, state = work.session, work.state
    spending.check_time(work)
    if state.losses >= MAX_LOST:
        session.end(Status.interrupted, f"{MAX_LOST} attempts in a row were lost: {state.last_attempt.reason}")
        return
    run, number = state.run, state.attempt
    plan = work.setup.attempt_plan(session.folder, run, number, kind)
    key = attempt_key(plan, work.setup.conditions_key, state.code_hash)
    if earlier := earlier_attempt(work, plan, key):
        session.record(earlier)
        return
    longest = min(plan.time_limit, spending.time_left(work))
    session.show(f"run {run} of {state.max_runs}, attempt {number} ({kind})", limit=longest)

    def begins(began: Began, plan: AttemptPlan) -> None:
        process = began.process or ProcessIdentity(0, 0, "")
        session.record(
            AttemptStarted(
                run,
                number,
                kind,
                state.code_hash,
                state.head,
                process.pid,
                process.started,
                process.boot_id,
                began.job,
                began.place,
                began.gpus,
                began.waited,
                round(plan.time_limit, 3),
            )
        )

    outcome, reached = spending.execute(work, plan, begins)
    if reached is not None:
        reason = f"a budget ended this attempt, and a resume repeats it: {reached.reason}"
        outcome = replace(outcome, verdict=Verdict.lost, reason=reason)
    finished = _finished(plan, outcome, state.code_hash, key)
    session.record(finished)
    if reached is not None:
        commit_failure(work, finished)
        raise reached


def _finished(plan: AttemptPlan, outcome: AttemptOutcome, code_hash: str, key: str) -> AttemptFinished:
    return AttemptFinished(
        run=plan.run,
        attempt=plan.attempt,
        attempt_kind=plan.kind,
        verdict=outcome.verdict.value,
        reason=outcome.reason,
        digest=outcome.digest,
        seconds=round(outcome.seconds, 3),
        metrics=outcome.metrics,
        code_hash=code_hash,
        key=key if outcome.repeatable else "",
        place=outcome.place,
        waited=outcome.waited,
        begun=outcome.begun,
    )


def take_up(work: Work, started: AttemptStarted) -> None:
    """A job that was submitted before ai-sci died: it went on without us, and its outcome counts."""
    session = work.session
    plan = work.setup.attempt_plan(session.folder, started.run, started.attempt, started.attempt_kind)
    session.show(f"run {started.run}, attempt {started.attempt}: waiting for job {started.job}")
    spent = work.state.spent.gpu_seconds
    most = Amount(gpu_seconds=started.gpus * started.limit)
    refused = work.desk.reserve(most)  # the job runs all the same, so that its outcome is worth waiting for
    try:
        outcome = work.engine.take_up(plan, started.job, session.output)
        if outcome is None:
            lose(work, started)
            return
        if outcome.verdict is Verdict.timed_out and 0 < started.limit < plan.time_limit - _ROUNDING:
            outcome = replace(outcome, verdict=Verdict.lost, reason="a budget ended this attempt; it is repeated")
        key = attempt_key(plan, work.setup.conditions_key, started.code_hash)
        session.record(_finished(plan, outcome, started.code_hash, key))
    finally:
        held = Amount(gpu_seconds=work.state.spent.gpu_seconds - spent)
        work.desk.settle(Amount() if refused else most, held)


def lose(work: Work, started: AttemptStarted) -> None:
    """The harness died while this attempt ran, and nobody saw how it ended: what is left of it is ended too."""
    end_leftover(ProcessIdentity(started.pid, started.process_started, started.boot_id))
    reason = "ai-sci stopped while this attempt ran; it is repeated in a fresh folder"
    work.session.record(
        AttemptFinished(
            run=started.run,
            attempt=started.attempt,
            attempt_kind=started.attempt_kind,
            verdict="lost",
            reason=reason,
            digest="",
            seconds=0.0,
            metrics={},
            code_hash=started.code_hash,
        )
    )


def after_attempt(work: Work, finished: AttemptFinished) -> None:
    if finished.verdict != "ok":
        commit_failure(work, finished)
    elif finished.attempt_kind == "smoke":
        attempt(work, "full")
    else:
        accept(work, finished)


def commit_failure(work: Work, finished: AttemptFinished) -> None:
    name = f"run {finished.run} attempt {finished.attempt} ({finished.attempt_kind})"
    log = f"attempts/run_{finished.run}.{finished.attempt}/output.log"
    commit = work.session.commit(
        [log], f"{name}: {finished.verdict}", prompting.trailers(work.state, finished), body=finished.reason
    )
    work.session.record(OutcomeCommitted(finished.run, finished.attempt, commit))


def accept(work: Work, finished: AttemptFinished) -> None:
    session, template = work.session, work.setup.template
    folder = session.folder
    tracked, artefacts = split_artefacts(folder, folder / f"run_{finished.run}")
    # The smoke attempts that went before have no commit of their own.
    attempts = work.state.runs[finished.run].attempts
    tracked += [f"attempts/run_{one.run}.{one.attempt}/output.log" for one in attempts if one.verdict == "ok"]
    twin = prompting.twin(work.state, finished.run, finished.metrics)
    remarks = [f"exactly the numbers of {twin}"] if twin else []
    commit = session.commit(
        tracked,
        f"run {finished.run}: ok{prompting.headline(template, finished.metrics, work.state.baseline)}",
        {**prompting.trailers(work.state, finished), **prompting.metric_trailer(template, finished.metrics)},
        body="\n".join([*remarks, *(f"untracked: {name} sha256 {digest}" for name, digest in artefacts.items())]),
    )
    session.record(RunClosed(finished.run, "ok", finished.metrics, commit, commit, work.state.code_hash, artefacts))


def close_run(work: Work, verdict: str) -> None:
    """What failed is not what the next run builds on: the code goes back to the last accepted state."""
    session, state = work.session, work.state
    session.restore(session.code_files)
    commit = session.commit(
        session.code_files,
        f"run {state.run}: closed, {verdict} ({state.failures} failure{'s' * (state.failures != 1)} in a row)",
        {"Run": state.run, "Verdict": verdict, "Cost": f"{state.spent.cost:.6f}"},
    )
    session.record(RunClosed(state.run, verdict, {}, commit, state.base_commit, session.code_hash()))


def after_run(work: Work, closed: RunClosed) -> None:
    state = work.state
    if state.completion_accepted:
        finish_experiments(work)
    elif state.barren_runs >= 2:
        work.session.end(Status.gave_up, "two runs in a row were closed without one edit that could be executed")
    else:
        work.session.record(prompting.result(work.session, closed))


def finish_experiments(work: Work) -> None:
    """No more runs: one that was begun and not accepted is closed first, so that the code is the last accepted one."""
    session, state = work.session, work.state
    if state.run_is_open:
        attempts = state.runs[state.run].attempts if state.run in state.runs else []
        close_run(work, attempts[-1].verdict if attempts else "lint_failed" if state.lint else "no_edit")
    elif not state.accepted:
        session.end(Status.no_run_accepted, "no run was accepted")
    elif not (session.folder / PLOT).is_file():
        ask_for_notes(work)
    elif PLOT in session.all_editable:
        session.record(prompting.plots(session))
    else:
        draw_plots(work)


def ask_for_notes(work: Work) -> None:
    if NOTES in work.session.all_editable:
        work.session.record(prompting.notes(work.session))
    else:
        work.session.end(Status.completed, prompting.accepted(work.state))


def draw_plots(work: Work) -> None:
    session, state = work.session, work.state
    outcome = spending.draw(work, work.setup.plot_plan(session.folder, state.plot_attempts + 1))
    commit = session.commit(
        [*(f"plots/{name}" for name in outcome.files), str(outcome.log.relative_to(session.folder))],
        f"plots: {', '.join(outcome.files) or outcome.verdict.value}",
        {"Verdict": outcome.verdict.value},
        body=outcome.reason,
    )
    session.record(PlotsFinished(outcome.verdict.value, outcome.reason, outcome.digest, list(outcome.files), commit))
