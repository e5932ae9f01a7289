"""Prints what tests counted (`record_property("what", number)`), summed up over all of them, at the end of a run."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

# A pause on a busy machine is no finding.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sums: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":
                sums.update({name: value for name, value in report.user_properties if isinstance(value, int)})
    for name, value in sums.items():
        terminalreporter.write_line(f"{name}: {value}")
