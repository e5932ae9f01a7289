"""Decides where the numbers of a run come from: the experiment itself, or a grader that recomputes them.

Full attempts and the baseline are graded after their results are read and before the template's checks. Smoke attempts
are not graded, since their numbers count nowhere.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

from ai_sci.experiment.base import ConfigError, EnvironmentFailed, Verdict, installed_plugins, make_plugin, nearest
from ai_sci.experiment.results import ResultError, Results, read_results
from ai_sci.experiment.template import Template

_GROUP = "ai_sci.graders"


class Grader(Protocol):
    """Constructed with the Template, whose `grade` is the `[grade]` table of template.toml."""

    def grade(self, out_dir: Path, results: Results) -> Results:
        """The results to record for the experiment's output in `out_dir`, which is not to be trusted.

        `results` is what the experiment reported. Recomputed numbers have `source` "graded". Raises ResultError, with a
        verdict and a reason for the model, if the output cannot be graded or was dishonest.
        """
        ...


class SelfReported:
    """No grader: the experiment's own numbers, which are a claim."""

    def grade(self, out_dir: Path, results: Results) -> Results:
        """`results`, unchanged."""
        return results


def open_grader(template: Template) -> Grader:
    """The installed grader named by `[grade] grader = "NAME"` (entry points in `ai_sci.graders`), else SelfReported.

    Raises ConfigError if it is not installed, or cannot be loaded or constructed.
    """
    name = template.grade.get("grader")
    if name is None:
        return SelfReported()
    installed = installed_plugins(_GROUP)
    if name not in installed:
        raise ConfigError(f'[grade] grader = "{name}": no such grader is installed{nearest(str(name), installed)}')
    return make_plugin(installed[name], template)


def graded_results(template: Template, out_dir: Path) -> Results:
    """The results in `out_dir`, as they are to be recorded.

    Raises ResultError if there are none, ConfigError as `open_grader` does, EnvironmentFailed if the grader breaks.
    """
    results, grader = read_results(out_dir), open_grader(template)
    try:
        graded = grader.grade(out_dir, results)
        wrong = [name for name, value in graded.metrics.items() if not math.isfinite(value)]
    except ResultError:
        raise
    except Exception as error:  # third-party code; the session stops, and can be resumed once it is fixed
        what = f"{template.grade.get('grader')} failed on {out_dir.name}: {type(error).__name__}: {error}"
        raise EnvironmentFailed(f"the grader {what}") from error
    if wrong:
        raise ResultError(Verdict.bad_result, f"the grader finds that {wrong[0]} is {graded.metrics[wrong[0]]}")
    return graded
