"""Reads the `final_info.json` of an experiment, trusting neither the file nor its folder."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_sci.experiment.base import Verdict

RESULT_NAME = "final_info.json"
MAX_BYTES = 10 * 1024 * 1024
MAX_METRICS = 2_000  # more than anyone reads, and each one costs tokens in every prompt
MAX_NAME = 200
SELF_REPORTED, GRADED = "self-reported", "graded"
# SAE-Bench writes these next to its metrics; they differ between runs of the same code.
_NOT_METRICS = frozenset({"datetime_epoch_millis"})
_FORMATS = '{"dataset": {"means": {"metric": number}}} or {"metric": number}'


class ResultError(Exception):
    """There is no usable result; `verdict` is `no_result` or `bad_result`."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


@dataclass(frozen=True)
class Results:
    """`metrics` is flat (`dataset/metric` if there are several datasets), every value finite.

    `stderrs` has the standard errors in the file, under the same names. `raw` is the whole file, with null instead of
    NaN and Infinity so that it is valid JSON. `source` says who computed the metrics: "self-reported" by the
    experiment, or "graded" by a grader.
    """

    metrics: dict[str, float]
    stderrs: dict[str, float]
    raw: dict[str, Any]
    source: str = SELF_REPORTED


def read_results(out_dir: Path) -> Results:
    """The results in `out_dir`; raises only ResultError, whatever the experiment left there."""
    return parse_results(_read_file(out_dir))


def parse_results(data: bytes) -> Results:
    """Parses the bytes of a `final_info.json`; raises ResultError.

    Three formats: AI-Scientist's `{dataset: {"means": {metric: number}, "stderrs": …}}` (or one number as `"means"`, a
    metric that is called like its dataset), a flat `{metric: number}`, and the result JSON of SAE-Bench, whose
    `eval_result_metrics` become metrics by their innermost name.
    """
    raw = _decode(data)
    try:
        metrics, stderrs = _extract(raw)
        clean = _without_nonfinite(raw)
    except RecursionError:
        raise _bad("nests its values too deeply")
    if not metrics:
        raise _bad(f"holds no number at a place where metrics are read: write {_FORMATS}")
    if len(metrics) > MAX_METRICS:
        raise _bad(f"holds {len(metrics)} metrics; at most {MAX_METRICS} are read")
    return Results(metrics, stderrs, clean)


def _bad(what: str) -> ResultError:
    return ResultError(Verdict.bad_result, f"{RESULT_NAME} {what}")


# --- the file ---------------------------------------------------------------------------------------------------------


def _read_file(out_dir: Path) -> bytes:
    """The file's bytes; never follows or waits for a symlink, hard link, pipe or device."""
    try:
        folder = os.open(out_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ResultError(Verdict.no_result, f"the folder {out_dir.name} is gone or not a folder ({error.strerror})")
    try:
        return _read_in(folder, out_dir)
    except OSError as error:
        raise _bad(f"cannot be read ({error.strerror})")
    finally:
        os.close(folder)


def _read_in(folder: int, out_dir: Path) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        file = os.open(RESULT_NAME, flags, dir_fd=folder)
    except FileNotFoundError:
        raise ResultError(Verdict.no_result, _nothing_there(folder, out_dir))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _bad("is a symbolic link; it has to be a regular file")
        if error.errno == errno.ENXIO:
            raise _bad("is a socket or a device; it has to be a regular file")
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            kind = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}.get(stat.S_IFMT(found.st_mode), "a device")
            raise _bad(f"is {kind}; it has to be a regular file")
        if found.st_nlink != 1:
            raise _bad("is a hard link to another file; it has to be a file of its own")
        if found.st_size > MAX_BYTES:
            raise _bad(f"is {found.st_size / 1e6:,.1f} MB; at most {MAX_BYTES // 1024**2} MB are read")
        return _read_up_to(file, MAX_BYTES)
    finally:
        os.close(file)


def _read_up_to(file: int, most: int) -> bytes:
    """At most `most` bytes, even if the file grows while being read."""
    pieces: list[bytes] = []
    size = 0
    while size < most:
        piece = os.read(file, min(1024 * 1024, most - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _nothing_there(folder: int, out_dir: Path) -> str:
    names = sorted(os.listdir(folder))
    shown = ", ".join(repr(name)[1:-1] for name in names[:5]) + (", …" if len(names) > 5 else "")
    found = f"it holds only {shown}" if names else "it is empty"
    return f"the experiment ended without writing {RESULT_NAME} into {out_dir.name} ({found})"


# --- its content ------------------------------------------------------------------------------------------------------


def _decode(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise _bad("is empty")
    try:
        raw = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _bad("is not UTF-8 text")
    except json.JSONDecodeError as error:
        raise _bad(f"is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})")
    except RecursionError:
        raise _bad("nests its values too deeply")
    except ValueError:  # int() refuses thousands of digits
        raise _bad("holds a number with too many digits")
    if not isinstance(raw, dict):
        raise _bad(f"holds {_kind(raw)} at the top; it has to be an object: write {_FORMATS}")
    return raw


def _extract(raw: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    if isinstance(raw.get("eval_result_metrics"), dict):
        return _from_sae_bench(raw), {}
    datasets = {name: entry for name, entry in raw.items() if isinstance(entry, dict) and "means" in entry}
    if not datasets and isinstance(raw.get("means"), dict):  # one dataset, without its name
        datasets = {"means": raw}
    if datasets:
        return _from_datasets(datasets)
    return dict(_numbers(raw)), {}


def _from_datasets(datasets: dict[str, dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """AI-Scientist's format; one dataset gives plain metric names, several give `dataset/metric`."""
    metrics: dict[str, float] = {}
    stderrs: dict[str, float] = {}
    for dataset, entry in datasets.items():
        means, given = entry["means"], entry.get("stderrs")
        if _is_number(means):  # one metric, which has no name but the dataset's
            metrics.update(_numbers({dataset: means}))
            stderrs.update(_stderrs(given if isinstance(given, dict) else {dataset: given}, {dataset: means}))
            continue
        if not isinstance(means, dict):
            raise _bad(f'holds {_kind(means)} as "means" of {_shown(dataset)}; it has to be an object or a number')
        own = dict(_numbers(means))
        prefix = "" if len(datasets) == 1 else f"{_checked_name(dataset)}/"
        metrics.update({prefix + name: value for name, value in own.items()})
        stderrs.update({prefix + name: value for name, value in _stderrs(given, own)})
    return metrics, stderrs


def _stderrs(given: object, metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The usable standard errors. NaN means unknown: `std(ddof=1)` of a single seed gives it."""
    if not isinstance(given, dict):
        return
    for name, value in given.items():
        # AI-Scientist's templates name a pair loss_mean and loss_stderr
        metric = name if name in metrics else f"{name.removesuffix('_stderr')}_mean"
        if metric in metrics and _is_number(value) and _is_finite(value):
            yield metric, float(value)


def _from_sae_bench(raw: dict[str, Any]) -> dict[str, float]:
    """The leaves of `eval_result_metrics` by name (`l0`), or by path where names collide."""
    leaves = list(_leaves(raw["eval_result_metrics"], ()))
    uses = Counter(path[-1] for path, _ in leaves)
    metrics = {"/".join(path) if uses[path[-1]] > 1 else path[-1]: value for path, value in leaves}
    for name, value in _numbers({key: value for key, value in raw.items() if key not in _NOT_METRICS}):
        metrics.setdefault(name, value)
    return metrics


def _leaves(values: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, value in _numbers(values):
        yield (*path, name), value
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, _checked_name(name)))


def _numbers(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The entries that are numbers; text, true and false, lists, objects and null are passed over."""
    for name, value in values.items():
        if not _is_number(value):
            continue
        _checked_name(name)
        if not _is_finite(value):
            raise _bad(f"holds {_nonfinite_name(value)} as {_shown(name)}; a metric has to be a finite number")
        yield name, float(value)


def _checked_name(name: str) -> str:
    """`name`, if it is a short printable line: it goes into logs, commit messages and prompts."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise _bad(f"has a metric or dataset named {_shown(name)}; a name is 1 to {MAX_NAME} printable characters")
    return name


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _nonfinite_name(value: int | float) -> str:
    if isinstance(value, int):
        return "an integer beyond 1.8e308"
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _kind(value: object) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _without_nonfinite(value: Any) -> Any:
    """The same JSON value with null for NaN and Infinity, and '?' for lone surrogates, which UTF-8 cannot encode."""
    if isinstance(value, dict):
        return {_writable(key): _without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nonfinite(item) for item in value]
    if isinstance(value, str):
        return _writable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
