"""`ai-sci report --check`: makes the page again from the same records and lists the differences."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from html.parser import HTMLParser
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ai_sci.agent.report.make import Page, is_relative_link, make_page, record_counts, refuse_other
from ai_sci.agent.report.render import META, plotly_script
from ai_sci.experiment.base import ConfigError

_MOST_SHOWN = 20
_VOID = {"meta", "br", "img", "link", "input", "hr"}
_HEADINGS = ("h1", "h2", "h3", "figcaption", "summary", "th")  # the outer ones first


@dataclass(frozen=True)
class Checked:
    """`differences`: the first few, as lines for people; `more`: how many others; `gone_on`: records added since."""

    differences: list[str]
    more: int
    gone_on: int


def check_report(folder: Path, file: Path) -> Checked:
    """Compares `file` with the page made now. Raises ConfigError without a session, or if `file` is not a report."""
    folder = folder.resolve()
    refuse_other(folder)
    try:
        found = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}.") from error
    page = found.decode("utf-8", "replace")
    meta = _read_meta(page, file)
    there, claimed = record_counts(folder), meta["records"]
    missing = [
        f"{name or 'the journal'}: the page says it was made from {count} records, and there are {there.get(name, 0)}"
        for name, count in claimed.items()
        if count > there.get(name, 0)
    ]
    if missing:
        return Checked(missing[:_MOST_SHOWN], max(0, len(missing) - _MOST_SHOWN), 0)
    made = make_page(folder, meta["links"], claimed)
    gone_on = sum(there.values()) - sum(made.records.values())
    differences = _changed_results(folder, made)
    if made.html.encode() != found:
        differences += _compare(page, made.html) or _compare_lines(page, made.html)
    return Checked(differences[:_MOST_SHOWN], max(0, len(differences) - _MOST_SHOWN), gone_on)


def _changed_results(folder: Path, made: Page) -> list[str]:
    """Results that the page links to and whose files no longer match their commits."""
    lines = []
    for path, digest in made.results.items():
        try:
            same = hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
        except OSError as error:
            lines.append(f"{path}: cannot be read ({error.strerror}), and its commit holds it")
            continue
        if not same:
            lines.append(f"{path}: the file is not what its commit holds")
    return lines


def tell_checked(checked: Checked, file: Path) -> int:
    """Prints the findings and returns the exit code."""
    if checked.gone_on:
        print(f"The session has gone on since: {checked.gone_on} journal records more than {file} was made from.")
    for difference in checked.differences:
        print(difference)
    if checked.more:
        print(f"… and {checked.more} more differences")
    if checked.differences:
        return 1
    print(f"{file} says what the session says.")
    return 0


def _read_meta(page: str, file: Path) -> dict[str, Any]:
    """Reads which records the page says it was made from. Raises ConfigError."""
    reader = _Reader()
    reader.feed(page[: page.find("</head>")] if "</head>" in page else page[:100_000])
    try:
        meta = json.loads(reader.meta)
        records = {str(name): int(count) for name, count in meta["records"].items()}
        links = str(meta["links"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{file} is not an ai-sci report: it does not say which records it was made from.") from None
    if any(count < 0 for count in records.values()) or not is_relative_link(links):
        raise ConfigError(f"{file} is not an ai-sci report as written: its first lines were changed.")
    return {"records": records, "links": links}


@dataclass(frozen=True)
class _Piece:
    """A text or an attribute of the page, and its place."""

    what: str
    text: str
    where: str


class _Reader(HTMLParser):
    """Splits a page into pieces, each with the headings above it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[_Piece] = []
        self.meta = ""
        self._open: list[str] = []
        self._said: dict[str, str] = {}
        self._columns: list[str] = []
        self._column = 0
        self._id = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "meta" and given.get("name") == META:
            self.meta = given.get("content", "")
        if tag not in _VOID:
            self._open.append(tag)
        self._id = given.get("id", "") if tag == "script" else self._id
        if tag in ("article", "h1"):
            self._said.clear()
        elif tag in _HEADINGS:
            self._said.pop(tag, None)
        if tag == "h2":
            self._said = {key: value for key, value in self._said.items() if key == "h1"}
        if tag in ("table", "thead"):
            self._columns = []
        if tag == "tr":
            self._column = -1
            self._said.pop("th", None)
        if tag in ("td", "th"):
            self._column += 1
        for name, value in attrs:
            self._add(f"{tag} {name}", value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        self._add("end", tag)

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        shown = " ".join(data.split())
        heading = next((tag for tag in reversed(self._open) if tag in _HEADINGS), None)
        self._add(inside, data)
        if heading and shown:
            if heading == "th" and "thead" in self._open:
                self._columns.append(shown)
            else:
                self._said[heading] = f"{self._said.get(heading, '')} {shown}".strip()[:60]

    def handle_comment(self, data: str) -> None:
        self._add("comment", data)

    def handle_decl(self, decl: str) -> None:
        self._add("declaration", decl)

    def _add(self, what: str, text: str) -> None:
        self.pieces.append(_Piece(what, text, self._where()))

    def _where(self) -> str:
        if self._open and self._open[-1] == "script":
            return self._id or "the page's script"
        column = self._columns[self._column] if 0 <= self._column < len(self._columns) and "tr" in self._open else ""
        inside = "head" if "head" in self._open else ""
        headings = [self._said[tag] for tag in _HEADINGS if tag in self._said]
        return ", ".join(filter(None, [inside, *headings, column]))


def _pieces(page: str) -> list[_Piece]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.pieces


def _compare(found: str, made: str) -> list[str]:
    """The differences between the page found and the page as it should be."""
    library = plotly_script()
    if library in found:  # 5 MB, identical in both
        found, made = found.replace(library, ""), made.replace(library, "")
    theirs, ours = _pieces(found), _pieces(made)
    differences: list[str] = []
    for one, two in _paired(theirs, ours):
        if one is not None and two is not None and (one.what, one.text) == (two.what, two.text):
            continue
        place = two or one
        assert place is not None
        found_text, made_text = one.text if one else "", two.text if two else ""
        if place.what == "script" and place.where.startswith("charts-"):
            differences += _compare_data(found_text, made_text, place.where)
            continue
        differences.append(_line(place.where or "the top of the page", found_text, made_text))
    return differences


def _paired(theirs: list[_Piece], ours: list[_Piece]) -> list[tuple[_Piece | None, _Piece | None]]:
    """Pairs the pieces in order; when their numbers differ, aligns equal ones first and omits them."""
    if len(theirs) == len(ours):
        return list(zip(theirs, ours))
    start = 0
    while start < min(len(theirs), len(ours)) and _key(theirs[start]) == _key(ours[start]):
        start += 1
    end = 0
    while end < min(len(theirs), len(ours)) - start and _key(theirs[-1 - end]) == _key(ours[-1 - end]):
        end += 1
    left, right = theirs[start : len(theirs) - end], ours[start : len(ours) - end]
    if len(left) * len(right) > 4_000_000:
        return list(zip_longest(left, right))
    pairs: list[tuple[_Piece | None, _Piece | None]] = []
    matcher = SequenceMatcher(None, [_key(one) for one in left], [_key(one) for one in right], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            pairs += zip_longest(left[a:b], right[c:d])
    return pairs


def _key(piece: _Piece) -> tuple[str, str]:
    return piece.what, piece.text


def _compare_data(found: str, made: str, where: str) -> list[str]:
    try:
        return _compare_values(json.loads(found), json.loads(made), f"the chart data {where}")
    except (ValueError, RecursionError):
        return [f"the chart data {where}: not valid JSON"]


def _compare_values(found: Any, made: Any, where: str) -> list[str]:
    if isinstance(found, dict) and isinstance(made, dict):
        title = f" ({made['title']})" if "title" in made else ""
        keys = dict.fromkeys([*made, *found])
        return [
            line for key in keys for line in _compare_values(found.get(key), made.get(key), f"{where}{title}, {key}")
        ]
    if isinstance(found, list) and isinstance(made, list):
        pairs = enumerate(zip_longest(found, made))
        return [line for index, (one, two) in pairs for line in _compare_values(one, two, f"{where} {index + 1}")]
    return [] if repr(found) == repr(made) else [_line(where, str(found), str(made))]


def _compare_lines(found: str, made: str) -> list[str]:
    """For differences in neither text nor attributes, such as attribute order or white space within a tag."""
    pairs = enumerate(zip_longest(found.split("\n"), made.split("\n")), start=1)
    lines = [_line(f"line {number} of the file", one or "", two or "") for number, (one, two) in pairs if one != two]
    return lines or ["the file's bytes are not those of the page"]


def _line(where: str, found: str, made: str) -> str:
    """Both texts from shortly before their first difference."""
    start = next((i for i, (a, b) in enumerate(zip(found, made)) if a != b), min(len(found), len(made)))
    start = max(0, start - 25)
    one, two = (" ".join(text[start : start + 70].split()) for text in (found, made))
    return f"{where}: the page says {one!r}, the session {two!r}"
