"""What came out of an experiment: results in three formats, what it tampered with, and what to say of a failure.

Neither the file nor the folder that it lies in is trusted.
"""

from ai_sci.experiment.results.excerpt import failure_excerpt
from ai_sci.experiment.results.protection import Protected
from ai_sci.experiment.results.results import (
    GRADED,
    RESULT_NAME,
    SELF_REPORTED,
    ResultError,
    Results,
    parse_results,
    read_results,
)

__all__ = [
    "GRADED",
    "Protected",
    "RESULT_NAME",
    "SELF_REPORTED",
    "ResultError",
    "Results",
    "failure_excerpt",
    "parse_results",
    "read_results",
]
