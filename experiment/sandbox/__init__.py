"""What stands between the model's code and this machine: the tiers, and how one is found.

A tier counts as available when a command has run in it with the real flags.
"""

from ai_sci.experiment.sandbox import gates
from ai_sci.experiment.sandbox.base import TAG_VARIABLE, Launch, Sandbox
from ai_sci.experiment.sandbox.find import find_sandbox
from ai_sci.experiment.sandbox.rlimits import constrain
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed
