"""`log.md`: a session's story for people, one line per event, appended as it happens."""

from __future__ import annotations

import re
import time
from pathlib import Path

from ai_sci.agent.journal import (
    AttemptFinished,
    BaselineMeasured,
    Branched,
    CallFailed,
    CompletionAccepted,
    ConversationRebuilt,
    EditApplied,
    Entry,
    Event,
    PhaseGivenUp,
    PlotsFinished,
    PromptDiffered,
    ReplayCompared,
    Replied,
    ReplyRejected,
    Resumed,
    RunClosed,
    SandboxFound,
    SessionEnded,
    SessionStarted,
)
from ai_sci.experiment.base import printable

LOG = "log.md"

_BOLD = re.compile(r"(?<!\*)\*\*(?!\*)(.+?)(?<!\*)\*\*(?!\*)")  # not the stars of `*** Begin Patch`


def story(event: Event) -> str | None:
    """An event as a line of Markdown, without terminal escapes; None if people need not see it."""
    line = _story(event)
    return None if line is None else printable(line)


def plain_story(event: Event) -> str | None:
    """The same for a screen, without Markdown."""
    line = story(event)
    return None if line is None else _BOLD.sub(r"\1", line).lstrip("# ").rstrip()


def _story(event: Event) -> str | None:
    match event:
        case SessionStarted(idea=idea, template=template, model=model, max_runs=max_runs) as started:
            origin = f", made from {started.origin}" if started.origin else ""
            return (
                f"# {idea.get('Title') or idea['Name']}\n\n"
                f"template {template}, model {model}, up to {max_runs} runs{origin}\n"
            )
        case Branched(origin=origin, turn=turn, model=model):
            return f"**branched from {origin}**: what stands above is its history; from turn {turn} on with {model}"
        case Resumed(model=model):
            return f"resumed with {model}"
        case SandboxFound(tier=tier, backend=backend):
            return f"sandbox: {tier} ({backend})"
        case BaselineMeasured(verdict=verdict, source=source, metrics=metrics, reasons=reasons):
            detail = "; ".join(reasons) or metrics_line(metrics)
            return f"**run 0** (baseline, {source}): **{verdict}** {detail}"
        case CallFailed(message=message):
            return f"model call failed: {message}"
        case ConversationRebuilt(reason=reason):
            return f"conversation rebuilt: {reason}"
        case Replied(text=text, prompt_tokens=sent, completion_tokens=received, cost=cost, cut_to=window):
            price = f", ${cost:.4f}" if cost is not None else ""
            line = f"reply, {sent} tokens sent, {received} received{price}: {_first_line(text)}"
            return line if window is None else f"{line}\n  {silent_cut(window)}"
        case EditApplied(files=files, blocks=blocks):
            return f"edit applied: {', '.join(files)} ({blocks} block{'s' * (blocks != 1)})"
        case ReplyRejected(verdict=verdict, reasons=reasons):
            return f"**{verdict}**: {_first_line(reasons[0])}"
        case AttemptFinished(run=run, attempt=attempt, attempt_kind=kind) as finished:
            detail = metrics_line(finished.metrics) if finished.verdict == "ok" and kind == "full" else finished.reason
            took = f"{finished.seconds:.0f} s" if finished.seconds >= 10 else f"{finished.seconds:.1f} s"
            line = f"run {run} attempt {attempt} ({kind}): **{finished.verdict}** in {took} {detail}".rstrip()
            return f"{line}, taken over from {finished.reused}" if finished.reused else line
        case RunClosed(run=run, status="ok", commit=commit):
            return f"**run {run} accepted**, commit {commit[:8]}"
        case RunClosed(run=run, status=status, format_failures=count):
            replies = f", {count} repl{'y' if count == 1 else 'ies'} without a usable edit" if count else ""
            return f"**run {run} closed: {status}**{replies}"
        case CompletionAccepted():
            return "the model has finished its experiments"
        case PlotsFinished(verdict="ok", files=files):
            return f"plots: {', '.join(files) or 'none'}"
        case PlotsFinished(verdict=verdict, reason=reason):
            return f"plots: **{verdict}** {reason}"
        case PhaseGivenUp(verdict=verdict):
            return f"**given up**: {verdict} too often, the file is back as it was"
        case PromptDiffered(turn=turn, diff=diff):
            added, gone = (sum(line[:1] == sign for line in diff.splitlines()) - 1 for sign in "+-")
            lines = f"+{max(added, 0)} -{max(gone, 0)} lines"
            return f"**turn {turn}: another prompt than recorded** ({lines}): replay/turn_{turn}.diff"
        case ReplayCompared():
            return comparison(event)
        case SessionEnded(status=status, reason=reason):
            return f"**{status}**: {reason}"
    return None


def write_log(folder: Path, entry: Entry) -> None:
    """Appends the entry's line. Write errors are ignored: the journal is what counts."""
    text = _line(entry)
    try:
        with (folder / LOG).open("a", encoding="utf-8", errors="replace") as log:
            log.write(text)
    except OSError:
        return


def rebuild_log(folder: Path, entries: list[Entry]) -> None:
    """Rewrites the log from the journal, since a crash may have hit between the two writes."""
    try:
        (folder / LOG).write_text("".join(map(_line, entries)), encoding="utf-8", errors="replace")
    except OSError:
        return


def _line(entry: Entry) -> str:
    line = story(entry.event)
    if line is None:
        return ""
    if line.startswith("#"):
        return line + "\n"
    return f"- {time.strftime('%H:%M:%S', time.localtime(entry.at))} {line}\n"


def metrics_line(metrics: dict[str, float], most: int = 6) -> str:
    """The first `most` metrics on one line."""
    shown = [f"{name} {value:.4g}" for name, value in list(metrics.items())[:most]]
    return ", ".join(shown) + (", …" if len(metrics) > most else "")


def silent_cut(window: int) -> str:
    """What to know of a server that cut a prompt without a word."""
    return (
        f"**the server read only about {window} tokens of the prompt** and said nothing: its window is smaller than "
        "the conversation, which is kept within it from here on; a larger one is better (Ollama: OLLAMA_CONTEXT_LENGTH)"
    )


def comparison(compared: ReplayCompared) -> str:
    """A replay's result on one line, plus a line for each difference."""
    prompts = f"{compared.prompts} of {compared.prompts_recorded} prompts as recorded"
    if compared.prompts_by:
        prompts = f"the prompts were written by another version ({compared.prompts_by}) and differ"
    line = (
        f"{prompts}; {compared.edits} of {compared.edits_recorded} edits and "
        f"{compared.verdicts} of {compared.verdicts_recorded} verdicts as recorded"
    )
    return "\n".join([line, *(f"  differs: {difference}" for difference in compared.differences)])


def _first_line(text: str, most: int = 110) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "(empty)")
    return line if len(line) <= most else line[: most - 1] + "…"


def first_problem(report: str) -> str:
    """The first line of a linter's report that names a place."""
    return next((line.strip() for line in report.splitlines() if re.search(r"\.py:\d", line)), _first_line(report))
