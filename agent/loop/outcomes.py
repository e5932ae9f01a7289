"""The steps with the experiment: baseline, attempts, what becomes of them in git, plots."""

from __future__ import annotations

import shutil
from dataclasses import replace

from ai_sci.agent.budgets import Amount
from ai_sci.agent.journal import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    BaselineStarted,
    OutcomeCommitted,
    PlotsFinished,
    RunClosed,
    Status,
)
from ai_sci.agent.loop import outcome_texts, prompting, spending
from ai_sci.agent.loop.reuse import earlier_attempt, earlier_baseline
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.session import NOTES, PLOT, split_artefacts
from ai_sci.experiment.attempt import AttemptLaunch, AttemptOutcome, AttemptPlan, attempt_key
from ai_sci.experiment.base import EnvironmentFailed, ProcessIdentity, Verdict, end_leftover

_ROUNDING = 0.001  # seconds, of the limits in the journal
MAX_LOST = 3  # attempts in a row that end without a verdict through no fault of the code, before a session stops


def measure_baseline(context: SessionContext) -> None:
    context.session.show("measuring the baseline (run 0)")
    key = context.execution.baseline_key
    place = AttemptLaunch(None)

    def launched(launch: AttemptLaunch, plan: AttemptPlan) -> None:
        nonlocal place
        place = launch
        if launch.gpus:
            context.session.record(BaselineStarted(launch.gpus, plan.time_limit))

    waited = 0.0

    def execute(plan: AttemptPlan) -> AttemptOutcome:
        nonlocal waited
        for _ in range(MAX_LOST):
            outcome, reached = spending.execute(context, plan, launched)
            if reached is not None:
                # A job's outcome lies there, which a resume with a higher budget would take for that of its own job.
                shutil.rmtree(plan.folder / "work", ignore_errors=True)
                raise reached
            waited = outcome.waited or place.waited
            if outcome.verdict is not Verdict.lost:
                return outcome
            spending.check_time(context)  # it may be lost because there is none left
            context.session.output(f"{outcome.reason}; it is repeated\n")
        raise EnvironmentFailed(
            f"the baseline was lost {MAX_LOST} times in a row, the last time because {outcome.reason}"
        )

    outcome = earlier_baseline(context, key) or context.execution.measure_baseline(
        context.session.folder, execute, context.session.output
    )
    commit = None
    if outcome.metrics:
        tracked, _ = split_artefacts(context.session.folder, context.session.folder / "run_0")
        commit = context.session.commit(
            [*tracked, "attempts/run_0.1/output.log"],
            f"run 0: baseline {outcome.verdict.value} ({outcome.source})",
            {
                "Run": 0,
                "Verdict": outcome.verdict.value,
                **outcome_texts.metric_trailer(context.execution.template, outcome.metrics),
            },
            body="\n".join(outcome.reasons),
        )
    context.session.record(
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
            outcome.metrics_source,
        )
    )


def attempt(context: SessionContext, kind: str) -> None:
    session, state = context.session, context.state
    spending.check_time(context)
    if state.losses >= MAX_LOST:
        session.end(Status.interrupted, f"{MAX_LOST} attempts in a row were lost: {state.last_attempt.reason}")
        return
    run, number = state.run, state.attempt
    plan = context.execution.attempt_plan(session.folder, run, number, kind)
    key = attempt_key(plan, context.execution.conditions_key, state.code_hash)
    if earlier := earlier_attempt(context, plan, key):
        session.record(earlier)
        return
    longest = min(plan.time_limit, spending.time_left(context))
    session.show(f"run {run} of {state.max_runs}, attempt {number} ({kind})", limit=longest)

    def launched(launch: AttemptLaunch, plan: AttemptPlan) -> None:
        process = launch.process or ProcessIdentity(0, 0, "")
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
                launch.job,
                launch.place,
                launch.gpus,
                launch.waited,
                round(plan.time_limit, 3),
            )
        )

    outcome, reached = spending.execute(context, plan, launched)
    if reached is not None:
        reason = f"a budget ended this attempt, and a resume repeats it: {reached.reason}"
        outcome = replace(outcome, verdict=Verdict.lost, reason=reason)
    finished = _finished(plan, outcome, state.code_hash, key)
    session.record(finished)
    if reached is not None:
        commit_failure(context, finished)
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
        metrics_source=outcome.metrics_source,
    )


def reattach(context: SessionContext, started: AttemptStarted) -> None:
    """A job that was submitted before ai-sci died: it went on without us, and its outcome counts."""
    session = context.session
    plan = context.execution.attempt_plan(session.folder, started.run, started.attempt, started.attempt_kind)
    session.show(f"run {started.run}, attempt {started.attempt}: waiting for job {started.job}")
    spent = context.state.spent.gpu_seconds
    worst_case = Amount(gpu_seconds=started.gpus * started.limit)
    refused = context.broker.reserve(worst_case)  # the job runs all the same, so that its outcome is worth waiting for
    try:
        outcome = context.engine.reattach(plan, started.job, session.output)
        if outcome is None:
            record_lost(context, started)
            return
        if outcome.verdict is Verdict.timed_out and 0 < started.limit < plan.time_limit - _ROUNDING:
            outcome = replace(outcome, verdict=Verdict.lost, reason="a budget ended this attempt; it is repeated")
        key = attempt_key(plan, context.execution.conditions_key, started.code_hash)
        session.record(_finished(plan, outcome, started.code_hash, key))
    finally:
        held = Amount(gpu_seconds=context.state.spent.gpu_seconds - spent)
        context.broker.settle(Amount() if refused else worst_case, held)


def record_lost(context: SessionContext, started: AttemptStarted) -> None:
    """The harness died while this attempt ran, and nobody saw how it ended: what is left of it is ended too."""
    end_leftover(ProcessIdentity(started.pid, started.process_started, started.boot_id))
    reason = "ai-sci stopped while this attempt ran; it is repeated in a fresh folder"
    context.session.record(
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


def after_attempt(context: SessionContext, finished: AttemptFinished) -> None:
    if finished.verdict != "ok":
        commit_failure(context, finished)
    elif finished.attempt_kind == "smoke":
        attempt(context, "full")
    else:
        accept(context, finished)


def commit_failure(context: SessionContext, finished: AttemptFinished) -> None:
    name = f"run {finished.run} attempt {finished.attempt} ({finished.attempt_kind})"
    log = f"attempts/run_{finished.run}.{finished.attempt}/output.log"
    commit = context.session.commit(
        [log], f"{name}: {finished.verdict}", outcome_texts.trailers(context.state, finished), body=finished.reason
    )
    context.session.record(OutcomeCommitted(finished.run, finished.attempt, commit))


def accept(context: SessionContext, finished: AttemptFinished) -> None:
    session, template = context.session, context.execution.template
    folder = session.folder
    tracked, artefacts = split_artefacts(folder, folder / f"run_{finished.run}")
    # The smoke attempts that went before have no commit of their own.
    attempts = context.state.runs[finished.run].attempts
    tracked += [f"attempts/run_{one.run}.{one.attempt}/output.log" for one in attempts if one.verdict == "ok"]
    identical_run = outcome_texts.identical_run(context.state, finished.run, finished.metrics)
    remarks = [f"exactly the numbers of {identical_run}"] if identical_run else []
    commit = session.commit(
        tracked,
        f"run {finished.run}: ok{outcome_texts.headline(template, finished.metrics, context.state.baseline)}",
        {**outcome_texts.trailers(context.state, finished), **outcome_texts.metric_trailer(template, finished.metrics)},
        body="\n".join([*remarks, *(f"untracked: {name} sha256 {digest}" for name, digest in artefacts.items())]),
    )
    session.record(RunClosed(finished.run, "ok", finished.metrics, commit, commit, context.state.code_hash, artefacts))


def close_run(context: SessionContext, verdict: str) -> None:
    """What failed is not what the next run builds on: the code goes back to the last accepted state."""
    session, state = context.session, context.state
    session.restore(session.code_files)
    commit = session.commit(
        session.code_files,
        f"run {state.run}: closed, {verdict} ({state.failures} failure{'s' * (state.failures != 1)} in a row)",
        {"Run": state.run, "Verdict": verdict, "Cost": f"{state.spent.cost:.6f}"},
    )
    session.record(RunClosed(state.run, verdict, {}, commit, state.base_commit, session.code_hash()))


def after_run(context: SessionContext, closed: RunClosed) -> None:
    state = context.state
    if state.completion_accepted:
        finish_experiments(context)
    elif state.runs_without_attempt >= 2:
        context.session.end(Status.gave_up, "two runs in a row were closed without one edit that could be executed")
    else:
        context.session.record(prompting.result(context.session, closed))


def finish_experiments(context: SessionContext) -> None:
    """No more runs: one that was begun and not accepted is closed first, so that the code is the last accepted one."""
    session, state = context.session, context.state
    if state.run_is_open:
        attempts = state.runs[state.run].attempts if state.run in state.runs else []
        close_run(context, attempts[-1].verdict if attempts else "lint_failed" if state.lint else "no_edit")
    elif not state.accepted:
        session.end(Status.no_run_accepted, "no run was accepted")
    elif not (session.folder / PLOT).is_file():
        ask_for_notes(context)
    elif PLOT in session.all_editable:
        session.record(prompting.plots(session))
    else:
        draw_plots(context)


def ask_for_notes(context: SessionContext) -> None:
    if NOTES in context.session.all_editable:
        context.session.record(prompting.notes(context.session))
    else:
        context.session.end(Status.completed, outcome_texts.accepted(context.state))


def draw_plots(context: SessionContext) -> None:
    session, state = context.session, context.state
    outcome = spending.draw(context, context.execution.plot_plan(session.folder, state.plot_attempts + 1))
    commit = session.commit(
        [*(f"plots/{name}" for name in outcome.files), str(outcome.log.relative_to(session.folder))],
        f"plots: {', '.join(outcome.files) or outcome.verdict.value}",
        {"Verdict": outcome.verdict.value},
        body=outcome.reason,
    )
    session.record(PlotsFinished(outcome.verdict.value, outcome.reason, outcome.digest, list(outcome.files), commit))
