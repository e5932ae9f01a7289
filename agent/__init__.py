"""The conversation side: command line, session loop, journal, model, edits, git log."""
