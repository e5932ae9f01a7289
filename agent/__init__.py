"""The conversation side: command line, session loop, journal, model, edits, git log."""

__version__ = "0.1.0"
