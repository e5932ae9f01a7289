"""`ai-sci report`: reads a session or a batch as it stands and writes the page."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ai_sci.agent.batch import BATCH_EVENT_TYPES, BATCH_JOURNAL, BatchState, fold_batch, is_batch
from ai_sci.agent.journal import Entry, JournalError, NewerJournal, Spent, parse, read_journal
from ai_sci.agent.report.leaderboard import Waiting, leaderboard
from ai_sci.agent.report.markdown import batch_markdown, session_markdown
from ai_sci.agent.report.render import BatchFacts, Meta, render_page
from ai_sci.agent.report.session_facts import MOST_IMAGE_BYTES, SessionFacts, read_facts
from ai_sci.agent.report.time_breakdown import together
from ai_sci.agent.session import JOURNAL
from ai_sci.experiment.base import ConfigError
from ai_sci.keys import mask_keys

_ALL_IMAGE_BYTES = 40 << 20  # for the plots of all sessions of a batch
_LINKS = re.compile(r"(?:\.\./)*(?:[\w.%~-]+/)*")


def write_report(folder: Path, target: Path | None, markdown: bool) -> Path:
    """Writes the report of the session or batch in `folder`, by default into that folder; returns the path.

    Raises ConfigError when `folder` holds neither or `target` cannot be written.
    """
    folder = folder.resolve()
    refuse_other(folder)
    markdown = markdown or (target is not None and target.suffix == ".md")
    path = (target or folder / ("report.md" if markdown else "report.html")).absolute()
    text = _make_markdown(folder) if markdown else make_page(folder, _links_to(folder, path.parent)).html
    _write(path, text)
    return path


@dataclass(frozen=True)
class Page:
    """A page and what it was made from."""

    html: str
    records: dict[str, int]  # as in `Meta`
    results: dict[str, str]  # path of each linked result -> sha256 of the committed content


def make_page(folder: Path, links: str, limits: Mapping[str, int] | None = None) -> Page:
    """Makes the page, from at most `limits` records of each journal; a session not in `limits` counts as unstarted."""
    if is_batch(folder):
        batch, sessions, records = _read_batch_facts(folder, limits)
        meta = Meta("batch", records, links)
        html = render_page(meta, batch.name, f"{batch.name}: {batch.total} ideas", sessions, batch)
        results = {f"{one.name}/{path}": digest for one in sessions for path, digest in _results(one).items()}
        return Page(_encodable(html), records, results)
    facts = _session(folder, None if limits is None else limits.get("", 0))
    idea = facts.started.idea
    meta = Meta("session", {"": facts.records}, links)
    html = render_page(meta, facts.name, str(idea.get("Title") or idea.get("Name")), [facts], None)
    return Page(_encodable(html), meta.records, _results(facts))


def _encodable(text: str) -> str:
    """Without keys, and with question marks for lone surrogates, as from a file name."""
    return mask_keys(text).encode("utf-8", "replace").decode()


def _results(facts: SessionFacts) -> dict[str, str]:
    return {run.result: run.digest for run in facts.every_run if run.digest}


def _make_markdown(folder: Path) -> str:
    if is_batch(folder):
        return _encodable(batch_markdown(_read_batch_facts(folder, None)[0]))
    return _encodable(session_markdown(_session(folder, None)))


def refuse_other(folder: Path) -> None:
    """Raises ConfigError unless `folder` is a session or a batch."""
    if not is_batch(folder) and not (folder / JOURNAL).is_file():
        raise ConfigError(f"{folder} is neither a session nor a batch: it holds no {JOURNAL} and no {BATCH_JOURNAL}.")


def _links_to(folder: Path, start: Path) -> str:
    """The relative URL of `folder` from a page in `start`; "" for a page in the folder itself."""
    path = os.path.relpath(folder, start.resolve())
    return "" if path == "." else quote(path) + "/"


def is_relative_link(links: str) -> bool:
    """Whether `links` is a relative folder URL as a page's `Meta` holds it."""
    return _LINKS.fullmatch(links) is not None


def record_counts(folder: Path) -> dict[str, int]:
    """How many records each journal holds now."""
    if not is_batch(folder):
        return {"": len(read_journal(folder / JOURNAL))}
    records = parse(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)[0]
    counts = {"": len(records)}
    for name in fold_batch(records).ideas:
        with contextlib.suppress(JournalError):
            counts[name] = len(_entries(folder / name))
    return counts


def _entries(folder: Path) -> list[Entry]:
    return read_journal(folder / JOURNAL) if (folder / JOURNAL).is_file() else []


def _session(folder: Path, limit: int | None) -> SessionFacts:
    entries = _entries(folder)[:limit]
    name = getattr(entries[0].event, "session", folder.name) if entries else folder.name
    return read_facts(folder, entries, name)


def _read_batch_facts(
    folder: Path, limits: Mapping[str, int] | None
) -> tuple[BatchFacts, list[SessionFacts], dict[str, int]]:
    """The batch, its sessions, and how many records of each were read."""
    records = parse(folder / BATCH_JOURNAL, BATCH_EVENT_TYPES)[0][: None if limits is None else limits.get("", 0)]
    state = fold_batch(records)
    if state.started is None:
        raise ConfigError(f"{folder / BATCH_JOURNAL} does not begin with a batch.")
    counts = {"": len(records)}
    sessions: list[SessionFacts] = []
    waiting: list[Waiting] = []
    image_bytes = min(MOST_IMAGE_BYTES, _ALL_IMAGE_BYTES // max(1, len(state.ideas)))
    for name, record in state.ideas.items():
        limit = None if limits is None else limits.get(name, 0)
        status, reason = "waiting", "its session has not begun"
        if record.left is not None:
            status, reason = "failed to start", record.left.reason
        try:
            entries = _entries(folder / name)[:limit]
            if entries:
                sessions.append(read_facts(folder / name, entries, name, image_bytes))
                counts[name] = len(entries)
                continue
        except NewerJournal:
            status, reason = "unreadable", "written by a newer ai-sci: upgrade"
        except (JournalError, ConfigError):
            # One broken session must not prevent a page about the others.
            status, reason = "unreadable", "its journal or its commits cannot be read"
        idea = record.added.idea
        title = str(idea.get("Title") or idea.get("Name"))
        waiting.append(Waiting(name, title, Path(record.added.template).name, status, reason))
    return _batch(state, records[-1].at, sessions, waiting), sessions, counts


def _batch(state: BatchState, last_at: float, sessions: list[SessionFacts], waiting: list[Waiting]) -> BatchFacts:
    started = state.started
    assert started is not None
    spent = Spent()
    for facts in sessions:
        spent = spent.plus(facts.state.spent)
    groups = leaderboard(sessions, waiting)
    ends = [last_at, *(facts.last_at for facts in sessions)]
    places = f"{len(started.gpus)} GPUs" if started.gpus else f"{started.slots} slots" if started.slots else ""
    return BatchFacts(
        name=started.batch,
        status=state.ended.status if state.ended else "unfinished",
        reason=state.ended.reason if state.ended else "",
        started_at=state.started_at,
        engine=started.engine,
        places=places,
        budgets={name: value for name, value in state.budgets.by_option.items() if value is not None},
        total=len(state.ideas),
        better=sum(row.difference is not None and row.difference.word == "better" for g in groups for row in g.rows),
        accepted=sum(run.accepted for facts in sessions for run in facts.runs),
        runs=sum(len(facts.runs) for facts in sessions),
        elapsed=round((max(ends) - state.started_at) * 1000),
        night=together([facts.night for facts in sessions]),
        spent=spent,
        groups=groups,
    )


def _write(path: Path, text: str) -> None:
    """Writes atomically: an existing page stays until the new one is complete."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=".report-", encoding="utf-8", delete=False
        ) as new:
            try:
                new.write(text)
                new.flush()
                os.chmod(new.name, 0o644)
                os.replace(new.name, path)
            except OSError:
                os.unlink(new.name)
                raise
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}. Choose another place with -o.") from error
