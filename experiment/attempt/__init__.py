"""One attempt, from a fresh folder to a verdict with its reason; the baseline and the plots are run the same way.

One process tree, kept within limits, measured and ended.
"""

from ai_sci.experiment.attempt.baseline import BaselineOutcome, copy_run
from ai_sci.experiment.attempt.clean_env import BATCH_JOURNAL, other_sessions
from ai_sci.experiment.attempt.engine import LOCAL, Engine, EngineKind, LocalEngine, Slots
from ai_sci.experiment.attempt.execution_context import ExecutionContext, prepare_execution
from ai_sci.experiment.attempt.grading import Grader
from ai_sci.experiment.attempt.plots import PlotOutcome, PlotPlan, run_plots
from ai_sci.experiment.attempt.reuse import attempt_key, take_over, take_over_baseline
from ai_sci.experiment.attempt.runner import (
    AttemptLaunch,
    AttemptOutcome,
    AttemptPlan,
    OnLaunch,
    OnOutput,
    free_name,
    make_room,
    run_attempt,
    snapshot,
)
from ai_sci.experiment.attempt.watchdog import measure_disk

__all__ = [
    "AttemptLaunch",
    "AttemptOutcome",
    "AttemptPlan",
    "BATCH_JOURNAL",
    "BaselineOutcome",
    "Engine",
    "EngineKind",
    "ExecutionContext",
    "Grader",
    "LOCAL",
    "LocalEngine",
    "OnLaunch",
    "OnOutput",
    "PlotOutcome",
    "PlotPlan",
    "Slots",
    "attempt_key",
    "copy_run",
    "free_name",
    "make_room",
    "measure_disk",
    "other_sessions",
    "prepare_execution",
    "run_attempt",
    "run_plots",
    "snapshot",
    "take_over",
    "take_over_baseline",
]
