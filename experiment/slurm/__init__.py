"""Attempts as jobs of a Slurm cluster: submitted, waited for, reattached to after a crash.

Submission goes through submitit; states and outcomes are ours, because a job may start twice.
"""

from ai_sci.experiment.slurm.commands import ask, flags_of, patiently, read_options, require_commands
from ai_sci.experiment.slurm.engine import SLURM, SlurmEngine

__all__ = [
    "SLURM",
    "SlurmEngine",
    "ask",
    "flags_of",
    "patiently",
    "read_options",
    "require_commands",
]
