"""Finds outcomes that a recorded session already has (`replay --reuse`); `experiment.attempt.reuse` copies them."""

from __future__ import annotations

import dataclasses

from ai_sci.agent.journal import AttemptFinished, BaselineMeasured, RunClosed
from ai_sci.agent.loop.session_context import SessionContext
from ai_sci.agent.session import Recording, sha256_of
from ai_sci.experiment.attempt import AttemptPlan, BaselineOutcome, take_over, take_over_baseline


def earlier_attempt(context: SessionContext, plan: AttemptPlan, key: str) -> AttemptFinished | None:
    """The outcome of a finished attempt with this key, after copying its files; None when there is none."""
    recording = context.earlier
    if recording is None:
        return None
    for event in recording.events:
        if not isinstance(event, AttemptFinished) or event.key != key or event.seconds >= plan.time_limit:
            continue
        accepted = event.verdict == "ok" and event.attempt_kind == "full"
        if accepted and not _artefacts_are_there(recording, event.run):
            continue
        if take_over(plan, recording.folder, event.attempt, event.metrics, accepted):
            source = f"run {event.run}, attempt {event.attempt} of {recording.folder}"
            return dataclasses.replace(event, attempt=plan.attempt, reused=source)
    return None


def earlier_baseline(context: SessionContext, key: str) -> BaselineOutcome | None:
    """The recorded baseline, after copying its files; None when there is none."""
    recording, template = context.earlier, context.execution.template
    if recording is None or template.brings_baseline:
        return None
    for event in recording.events:
        if isinstance(event, BaselineMeasured) and event.key == key:
            return take_over_baseline(context.session.folder, template, recording.folder / "run_0", event.metrics)
    return None


def _artefacts_are_there(recording: Recording, run: int) -> bool:
    """Whether the large files of an accepted run still match their recorded hashes."""
    closed = next((event for event in recording.events if isinstance(event, RunClosed) and event.run == run), None)
    if closed is None:  # the session stopped before the run was closed
        return False
    places = {recording.folder / name: digest for name, digest in closed.artefacts.items()}
    return all(path.is_file() and sha256_of(path) == digest for path, digest in places.items())
