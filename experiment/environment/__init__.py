"""The experiment's own Python and data: built once and cached by content hash.

Safe for concurrent processes.
"""

from ai_sci.experiment.environment.environment import Environment, ensure_environment, is_ready
from ai_sci.experiment.environment.prepare import ensure_prepared
from ai_sci.experiment.environment.requirements import requirement_mistakes
