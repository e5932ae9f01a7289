"""`ai-sci doctor`."""

from __future__ import annotations

import typer

from ai_sci.agent.cli.options import RUNS, RunsDir, TemplateName


def doctor(template: TemplateName = None, runs_dir: RunsDir = None) -> None:
    """Report what this machine can do, and what to fix."""
    from ai_sci.agent.commands import examine

    findings = examine(template or "sae", runs_dir or RUNS)
    for finding in findings:
        print(finding)
    if any(finding.blocking for finding in findings):
        raise typer.Exit(2)
