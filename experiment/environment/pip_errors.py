"""Explains in one line why pip failed, and whether the network or the requirement file is to blame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ERROR = re.compile(r"ERROR: (.+)")
# True, but not the root cause, which comes before these or in the build's own output.
_NOT_THE_REASON = re.compile(
    r"ResolutionImpossible|Could not find a version that|Exception:$|Failed building wheel|Failed to build "
)
_RETRY = re.compile(r"Retrying \(Retry\(.*?after connection broken by '(.*)': (\S+)")
_NETWORK = re.compile(
    r"Max retries exceeded|timed out|TimeoutError|ConnectionError|ProxyError|NameResolution|Name or service not known"
    r"|name resolution|Network is unreachable|Connection (?:refused|reset|aborted|broken)|SSLError|CERTIFICATE_VERIFY",
)
_BUILDING = re.compile(r"(?:Collecting|Processing|Building (?:editable|wheel) for) (\S+)")


@dataclass(frozen=True)
class PipFailure:
    """`reason` is one line without a full stop; `network`: the index could not be reached."""

    reason: str
    network: bool


def explain(lines: Sequence[str]) -> PipFailure:
    """Finds the cause in the output (stdout and stderr merged) of a failed `pip install`."""
    reason = _build_failure(lines) or _last_error(lines)
    retries = [found for found in map(_RETRY.search, lines) if found]
    if retries and "No matching distribution" in reason:
        # pip forgets why it found nothing, but its warnings say it.
        broken = retries[-1][1].rpartition("new connection: ")[2].rstrip("\"')")
        return PipFailure(f"{broken} (asking for {retries[-1][2]})", network=True)
    return PipFailure(reason, network=_NETWORK.search(reason) is not None)


def _last_error(lines: Sequence[str]) -> str:
    errors = [found[1].strip() for found in map(_ERROR.match, lines) if found]
    reasons = [error for error in errors if not _NOT_THE_REASON.search(error)]
    if reasons:
        return reasons[-1]
    return lines[-1].strip() if lines else "it said nothing"


def _build_failure(lines: Sequence[str]) -> str | None:
    """The last line of output of a package's own build, if that is what failed."""
    ends = [number for number, line in enumerate(lines) if line.strip() == "[end of output]"]
    if not ends or ends[-1] == 0:
        return None
    before = lines[: ends[-1]]
    names = [found[1] for found in map(_BUILDING.match, map(str.strip, before)) if found]
    return f"building {names[-1] if names else 'a package'} failed: {before[-1].strip()}"
