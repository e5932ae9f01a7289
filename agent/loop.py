"""The loop: what the last event in the journal asks for is done, and what came of it is the next event.

baseline → plan+edit → apply → lint → smoke → full → check → commit → tell the model → … → plots → notes.
Killing the process between any two events loses nothing: the next step is computed from the journal alone.
"""

from __future__ import annotations

import time

from agent import tell
from agent.conversation import wire_messages
from agent.edits import EditRefused, all_completed, plan_edits, write_files
from agent.events import (
    AttemptFinished,
    AttemptStarted,
    BaselineMeasured,
    CallFailed,
    CompletionAccepted,
    CompletionDoubted,
    EditApplied,
    OutcomeCommitted,
    PlotsFinished,
    Replied,
    ReplyRejected,
    RunClosed,
    SessionEnded,
    SessionStarted,
    Told,
)
from agent.gitlog import split_artefacts
from agent.lint import lint_report
from agent.model import CallFailure, Model, ModelUnavailable
from agent.session import Session
from agent.state import Phase, Status
from agent.workspace import NOTES, PLOT
from experiment.process_tree import ProcessIdentity, end_leftover
from experiment.runner import run_attempt, run_plots
from experiment.setup import Setup


class Loop:
    """One session on its way to an end. `run` returns the status it ended with."""

    def __init__(self, session: Session, setup: Setup, model: Model) -> None:
        self.session = session
        self.setup = setup
        self.model = model

    @property
    def state(self):
        return self.session.state

    def run(self) -> Status:
        while self.state.status is Status.running:
            self.step()
        return self.state.status

    def step(self) -> None:
        """One step, decided by the last event."""
        state = self.state
        match state.last:
            case SessionStarted():
                self.measure_baseline()
            case BaselineMeasured(verdict="ok"):
                self.session.record(tell.task(self.session, self.setup.template))
            case BaselineMeasured(reasons=reasons):
                self.end(Status.invalid_baseline, f"the baseline is not usable: {'; '.join(reasons)}")
            case Told() if state.phase is Phase.runs and state.run > state.max_runs:
                self.finish_experiments()
            case Told():
                self.ask()
            case Replied() as reply:
                self.take(reply)
            case EditApplied() as edit:
                self.after_edit(edit)
            case ReplyRejected() as rejected:
                self.after_failure(rejected.verdict)
            case CompletionDoubted():
                self.session.record(tell.why_completed())
            case CompletionAccepted():
                self.finish_experiments()
            case AttemptStarted() as started:
                self.lose(started)
            case AttemptFinished() as finished:
                self.after_attempt(finished)
            case OutcomeCommitted():
                self.after_failure(state.last_attempt.verdict)
            case RunClosed() as closed:
                self.after_run(closed)
            case PlotsFinished(verdict="ok"):
                self.session.record(tell.notes(self.session))
            case PlotsFinished(verdict=verdict):
                self.after_failure(verdict)
            case _:
                raise AssertionError(f"no step follows {state.last}")

    def end(self, status: Status, reason: str) -> None:
        self.session.record(SessionEnded(status.value, reason))

    # -- the baseline -------------------------------------------------------------------------------------------

    def measure_baseline(self) -> None:
        self.session.show("measuring the baseline (run 0)")
        outcome = self.setup.measure_baseline(self.session.folder, self.session.output)
        commit = None
        if outcome.metrics:
            tracked, _ = split_artefacts(self.session.folder, self.session.folder / "run_0")
            commit = self.session.commit(
                [*tracked, "attempts/run_0.1/output.log"],
                f"run 0: baseline {outcome.verdict.value} ({outcome.source})",
                {
                    "Run": 0,
                    "Verdict": outcome.verdict.value,
                    **tell.metric_trailer(self.setup.template, outcome.metrics),
                },
                body="\n".join(outcome.reasons),
            )
        self.session.record(
            BaselineMeasured(outcome.metrics, outcome.verdict.value, list(outcome.reasons), outcome.source, commit)
        )

    # -- the model ----------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """One reply from the model, within the budgets. A failed call leaves the conversation as it is."""
        session, state = self.session, self.state
        messages = wire_messages(session.journal.events)
        if reason := session.budget_reached(self.model, messages):
            self.end(Status.budget_exhausted, reason)
            return
        session.show("waiting for the model")
        asked = time.monotonic()
        try:
            reply = self.model.complete(
                messages, turn=state.replies, on_delta=session.screen.delta, on_failure=self.note_failure
            )
        except ModelUnavailable as error:
            self.end(Status.model_unavailable, str(error))
            return
        session.record(
            Replied(
                text=reply.text,
                reasoning=reply.reasoning,
                finish_reason=reply.finish_reason,
                model=self.model.name,
                prompt_tokens=reply.usage.prompt_tokens,
                completion_tokens=reply.usage.completion_tokens,
                cached_tokens=reply.usage.cached_tokens,
                cost=reply.cost,
                seconds=round(time.monotonic() - asked, 3),
            )
        )

    def note_failure(self, failure: CallFailure) -> None:
        self.session.record(CallFailed(failure.status, failure.kind, failure.message, failure.retry_in))

    # -- edits --------------------------------------------------------------------------------------------------

    def take(self, reply: Replied) -> None:
        """Applies the reply's edits, all or none, or says why not."""
        session, state = self.session, self.state
        files = session.editable_texts()
        try:
            plan = plan_edits(reply.text, files, session.editable, cut_off=reply.finish_reason == "length")
        except EditRefused as refused:
            session.record(ReplyRejected("edit_refused", list(refused.reasons)))
            return
        if not plan.new_files:
            self.take_without_edit(reply, plan.blocks)
            return
        code_hash = session.code_hash(plan.new_files)
        if state.phase is Phase.runs and code_hash != state.code_hash and code_hash in state.executed:
            same = (
                f"The edit would make the code the same as that of {state.executed[code_hash]}, which is known already."
            )
            session.record(ReplyRejected("no_edit", [same]))
            return
        try:
            write_files(session.folder, plan.new_files)
        except EditRefused as refused:  # a link where a file should be: only seen when it is written
            session.record(ReplyRejected("edit_refused", list(refused.reasons)))
            return
        names = sorted(plan.new_files)
        blocks = f"{plan.blocks} block{'s' if plan.blocks != 1 else ''}"
        subject = f"run {state.run}" if state.phase is Phase.runs else str(state.phase)
        commit = session.commit(names, f"edit for {subject}: {', '.join(names)} ({blocks})")
        lint = lint_report(session.folder, [name for name in names if name.endswith(".py")])
        session.record(EditApplied(names, plan.blocks, commit, code_hash, lint))

    def take_without_edit(self, reply: Replied, blocks: int) -> None:
        session, state = self.session, self.state
        if state.phase is not Phase.runs or not all_completed(reply.text):
            session.record(ReplyRejected("no_edit", [tell.why_no_edit(reply, blocks)]))
        elif state.runs or state.completion_doubted:
            session.record(CompletionAccepted())
        else:
            session.record(CompletionDoubted())

    def after_edit(self, edit: EditApplied) -> None:
        if edit.lint:
            self.after_failure("lint_failed")
        elif self.state.phase is Phase.plots:
            self.draw_plots()
        elif self.state.phase is Phase.notes:
            self.end(Status.completed, tell.accepted(self.state))
        elif edit.code_hash in self.state.executed:
            names = ", ".join(edit.files)
            self.session.record(
                ReplyRejected("no_edit", [f"Your edit to {names} left the experiment's code unchanged."])
            )
        else:
            self.attempt("smoke" if self.setup.template.smoke else "full")

    # -- attempts -----------------------------------------------------------------------------------------------

    def attempt(self, kind: str) -> None:
        session, state = self.session, self.state
        if reason := session.time_is_up():
            self.end(Status.budget_exhausted, reason)
            return
        run, number = state.run, state.attempt
        session.show(f"run {run} of {state.max_runs}, attempt {number} ({kind})", limit=self.setup.time_limit(kind))

        def started(process: ProcessIdentity) -> None:
            session.record(
                AttemptStarted(
                    run, number, kind, state.code_hash, state.head, process.pid, process.started, process.boot_id
                )
            )

        outcome = run_attempt(
            self.setup.attempt_plan(session.folder, run, number, kind), on_start=started, on_output=session.output
        )
        session.record(
            AttemptFinished(
                run=run,
                attempt=number,
                attempt_kind=kind,
                verdict=outcome.verdict.value,
                reason=outcome.reason,
                digest=outcome.digest,
                seconds=round(outcome.seconds, 3),
                metrics=outcome.metrics,
                code_hash=state.code_hash,
            )
        )

    def lose(self, started: AttemptStarted) -> None:
        """The harness died while this attempt ran, and nobody saw how it ended: what is left of it is ended too."""
        end_leftover(ProcessIdentity(started.pid, started.process_started, started.boot_id))
        reason = "ai-sci stopped while this attempt ran; it is repeated in a fresh folder"
        self.session.record(
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

    def after_attempt(self, finished: AttemptFinished) -> None:
        if finished.verdict == "lost":
            self.attempt(finished.attempt_kind)
        elif finished.verdict != "ok":
            self.commit_failure(finished)
        elif finished.attempt_kind == "smoke":
            self.attempt("full")
        else:
            self.accept(finished)

    def commit_failure(self, finished: AttemptFinished) -> None:
        name = f"run {finished.run} attempt {finished.attempt} ({finished.attempt_kind})"
        log = f"attempts/run_{finished.run}.{finished.attempt}/output.log"
        commit = self.session.commit(
            [log], f"{name}: {finished.verdict}", tell.trailers(self.state, finished), body=finished.reason
        )
        self.session.record(OutcomeCommitted(finished.run, finished.attempt, commit))

    def accept(self, finished: AttemptFinished) -> None:
        session, template = self.session, self.setup.template
        folder = session.folder
        tracked, artefacts = split_artefacts(folder, folder / f"run_{finished.run}")
        tracked.append(f"attempts/run_{finished.run}.{finished.attempt}/output.log")
        commit = session.commit(
            tracked,
            f"run {finished.run}: ok{tell.headline(template, finished.metrics, self.state.baseline)}",
            {**tell.trailers(self.state, finished), **tell.metric_trailer(template, finished.metrics)},
            body="\n".join(f"untracked: {name} sha256 {digest}" for name, digest in artefacts.items()),
        )
        session.record(RunClosed(finished.run, "ok", finished.metrics, commit, commit, self.state.code_hash, artefacts))

    # -- failures -----------------------------------------------------------------------------------------------

    def after_failure(self, verdict: str) -> None:
        """Tells the model what was wrong, or gives up on this run (or the plots, or the notes)."""
        session, state = self.session, self.state
        if state.failures < session.started.max_failures:
            session.record(tell.failure(session, verdict))
        elif state.phase is Phase.runs:
            self.close_run(verdict)
        elif state.phase is Phase.plots:
            session.restore([PLOT])
            session.record(tell.notes(session))
        else:
            session.restore([NOTES])
            self.end(Status.completed, f"{tell.accepted(state)}, without notes: {verdict}")

    def close_run(self, verdict: str) -> None:
        """What failed is not what the next run builds on: the code goes back to the last accepted state."""
        session, state = self.session, self.state
        session.restore(session.code_files)
        commit = session.commit(
            session.code_files,
            f"run {state.run}: closed after {state.failures} failures in a row ({verdict})",
            {"Run": state.run, "Verdict": verdict, "Cost": f"{state.spent.cost:.6f}"},
        )
        session.record(RunClosed(state.run, verdict, {}, commit, state.base_commit, session.code_hash()))

    def after_run(self, closed: RunClosed) -> None:
        if self.state.barren_runs >= 2:
            self.end(Status.gave_up, "two runs in a row were closed without one edit that could be executed")
            return
        self.session.record(tell.result(self.session, closed))

    # -- the end ------------------------------------------------------------------------------------------------

    def finish_experiments(self) -> None:
        state = self.state
        if not state.accepted:
            self.end(Status.no_run_accepted, "no run was accepted")
        elif (self.session.folder / PLOT).is_file():
            self.session.record(tell.plots(self.session))
        else:
            self.session.record(tell.notes(self.session))

    def draw_plots(self) -> None:
        session, state = self.session, self.state
        session.show("drawing the plots", limit=self.setup.time_limit("plots"))
        outcome = run_plots(self.setup.plot_plan(session.folder, state.plot_attempts + 1), on_output=session.output)
        commit = session.commit(
            [*(f"plots/{name}" for name in outcome.files), str(outcome.log.relative_to(session.folder))],
            f"plots: {', '.join(outcome.files) or outcome.verdict.value}",
            {"Verdict": outcome.verdict.value},
            body=outcome.reason,
        )
        session.record(
            PlotsFinished(outcome.verdict.value, outcome.reason, outcome.digest, list(outcome.files), commit)
        )
