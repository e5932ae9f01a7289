"""The seam for who says what the numbers of a run are: the experiment itself, or a grader that computes them again.

It comes between the results read and the template's checks, for full attempts and for the baseline. A smoke attempt is
not graded: its numbers count nowhere, and what it leaves is no result.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

from ai_sci.experiment.base import ConfigError, EnvironmentFailed, Verdict, installed_plugins, load_plugin, nearest
from ai_sci.experiment.results import ResultError, Results, read_results
from ai_sci.experiment.template import Template

_GROUP = "ai_sci.graders"


class Grader(Protocol):
    """Made with the Template, whose `grade` is the table `[grade]` of template.toml."""

    def grade(self, out_dir: Path, results: Results) -> Results:
        """The results to record for the output in `out_dir`, which the experiment wrote and nobody should trust.

        `results` is what the experiment says. Numbers that were computed here have `source` "graded". Raises
        ResultError, with a verdict and a reason for the model, when the output cannot be graded or was not honest.
        """
        ...


class SelfReported:
    """No grader: the experiment's own numbers, which are a claim."""

    def grade(self, out_dir: Path, results: Results) -> Results:
        return results


def open_grader(template: Template) -> Grader:
    """The installed grader that `[grade] grader = "NAME"` asks for (`ai_sci.graders`), else none.

    Raises ConfigError when it is not installed or cannot be loaded.
    """
    name = template.grade.get("grader")
    if name is None:
        return SelfReported()
    installed = installed_plugins(_GROUP)
    if name not in installed:
        raise ConfigError(f'[grade] grader = "{name}": no such grader is installed{nearest(str(name), installed)}')
    return load_plugin(installed[name])(template)


def graded_results(template: Template, out_dir: Path) -> Results:
    """The results in `out_dir` as they are recorded.

    Raises ResultError when there are none, ConfigError as `open_grader`, and EnvironmentFailed when the grader breaks.
    """
    results, grader = read_results(out_dir), open_grader(template)
    try:
        graded = grader.grade(out_dir, results)
        wrong = [name for name, value in graded.metrics.items() if not math.isfinite(value)]
    except ResultError:
        raise
    except Exception as error:  # code of others; the session stops, and can be resumed when it is mended
        what = f"{template.grade.get('grader')} failed on {out_dir.name}: {type(error).__name__}: {error}"
        raise EnvironmentFailed(f"the grader {what}") from error
    if wrong:
        raise ResultError(Verdict.bad_result, f"the grader finds that {wrong[0]} is {graded.metrics[wrong[0]]}")
    return graded
