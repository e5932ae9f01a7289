"""Where this command and the processes that it starts import from: never the current folder.

Folders of templates and sessions hold an `experiment.py` that a model has edited, and people start ai-sci there.
"""

import os
import sys

_START = "import sys; sys.path[:] = {path!r}; {code}"


def forget_current_folder() -> None:
    """Takes the current folder off `sys.path`, whoever put it there: `-m`, or PYTHONPATH with `.` or an empty entry."""
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was removed
        here = ""
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]


def command_line(*arguments: str) -> list[str]:
    """`ai-sci ARGUMENTS` as an argv that imports from where this process does, whatever folder it is started in."""
    return python_command("from ai_sci.__main__ import main; main()", *arguments)


def python_command(code: str, *arguments: str) -> list[str]:
    """The same for a line of Python."""
    return [sys.executable, "-I", "-c", _START.format(path=sys.path, code=code), *arguments]
