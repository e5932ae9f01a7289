"""ai-sci: autonomous experiments for machine-learning researchers."""

__version__ = "0.2.0.dev0"
