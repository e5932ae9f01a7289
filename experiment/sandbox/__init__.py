"""Isolates the model's code from this machine: the sandbox tiers, and finding one that works here."""

from ai_sci.experiment.sandbox import gates
from ai_sci.experiment.sandbox.base import TAG_VARIABLE, Launch, Sandbox, inner_folder
from ai_sci.experiment.sandbox.bubblewrap import HOME
from ai_sci.experiment.sandbox.find import find_sandbox
from ai_sci.experiment.sandbox.rlimits import constrain
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed
