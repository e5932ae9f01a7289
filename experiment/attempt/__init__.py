"""Runs one attempt, from a fresh folder to a verdict with a reason; the baseline and plots run the same way.

Each is one process tree, kept within limits, measured and killed at the end.
"""

from ai_sci.experiment.attempt.baseline import BaselineOutcome, checked_baseline, copy_run
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
