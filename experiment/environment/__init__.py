"""The experiment's own Python and data: built once from requirement files, cached by their hash.

Safe for two processes at once.
"""

from ai_sci.experiment.environment.environment import Environment, ensure_environment, is_ready
from ai_sci.experiment.environment.prepare import ensure_prepared
