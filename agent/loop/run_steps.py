"""How a run ends: accepted and committed, or closed, with the code of the last accepted run restored."""

from __future__ import annotations

from ai_sci.agent.journal import AttemptFinished, RunClosed
from ai_sci.agent.loop import outcome_texts
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.session import split_artefacts


def accept(context: SessionContext, finished: AttemptFinished) -> None:
    """Commits the run's results and closes it as `ok`; large artefacts are only hashed."""
    session, template = context.session, context.execution.template
    folder = session.folder
    tracked, artefacts = split_artefacts(folder, folder / f"run_{finished.run}")
    # Successful smoke attempts have no commit of their own.
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
    """Closes a failed run and restores the last accepted code, for the next run to build on."""
    session, state = context.session, context.state
    replies = state.format_failures
    session.restore(session.code_files)
    commit = session.commit(
        session.code_files,
        f"run {state.run}: closed, {verdict} ({state.failures_in_words})",
        {"Run": state.run, "Verdict": verdict, "Cost": f"{state.spent.cost:.6f}"},
    )
    session.record(
        RunClosed(state.run, verdict, {}, commit, state.base_commit, session.code_hash(), format_failures=replies)
    )
