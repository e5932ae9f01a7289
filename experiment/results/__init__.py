"""The outcome of an experiment: results in three formats, tampering, and failure digests.

Neither the result file nor its folder is trusted.
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
from ai_sci.experiment.results.tracebacks import error_chain
