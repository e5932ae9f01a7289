"""What holds for all tests: signals that are not ignored, no deadlines, and a summary of what they counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings

from tests.signals import ignored, outlive

# A pause on a busy machine is no finding.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

_ignored = ignored()  # by who started pytest; a worker of xdist is told
outlive(_ignored)


def pytest_configure(config: pytest.Config) -> None:
    outlive(getattr(config, "workerinput", {}).get("ignored_signals", ()))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist's, before a worker starts."""
    node.workerinput["ignored_signals"] = _ignored


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests counted (`record_property("what", number)`), summed up over all of them."""
    sums: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":
                sums.update({name: value for name, value in report.user_properties if isinstance(value, int)})
    for name, value in sums.items():
        terminalreporter.write_line(f"{name}: {value}")
