"""ai-sci: autonomous experiments for machine-learning researchers."""

__version__ = "0.1.0"
