"""A batch in a process of its own: it forks its sessions, which a process with threads (a notebook's kernel) must not.

The process gets a function's name and its arguments on stdin, says what it does on stderr, and answers on stdout.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_sci.agent import batch
from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.agent.session import PlainScreen
from ai_sci.experiment.base import AiSciError
from ai_sci.import_path import python_command

_MAIN = (
    "from ai_sci.import_path import forget_current_folder; forget_current_folder(); "
    "from ai_sci.agent.api.batch_process import main; main()"
)
_PR_SET_PDEATHSIG = 1


def run_apart(function: str, arguments: tuple[Any, ...], tell: Callable[[str], None]) -> Path:
    """Calls `run_batch` or `resume_batch` of the batch room, and returns the batch's folder.

    An interrupt is handed on, and waited for. Raises what the function raises.
    """
    process = subprocess.Popen(
        python_command(_MAIN, str(os.getpid())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # else a Ctrl-C in the terminal would reach it twice
    )
    assert process.stdin and process.stdout and process.stderr
    last_words = ""
    try:
        with signals_interrupt():
            pickle.dump((function, arguments), process.stdin)
            process.stdin.close()
            while True:
                try:
                    for line in process.stderr:
                        last_words = line.decode("utf-8", "replace").rstrip()
                        tell(last_words)
                    answer = process.stdout.read()
                    break
                except KeyboardInterrupt:
                    process.terminate()
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    if not answer:
        raise AiSciError(f"the batch's process ended with code {process.returncode} and no answer: {last_words}")
    outcome = pickle.loads(answer)
    if isinstance(outcome, AiSciError):
        raise outcome
    return outcome


def main() -> None:
    """Of the batch's process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # it ends, in order, with whoever asked for it
    if os.getppid() != int(sys.argv[1]):
        sys.exit(3)
    answer_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else gets into the answer
    function, arguments = pickle.load(sys.stdin.buffer)
    try:
        outcome: Path | AiSciError = getattr(batch, function)(*arguments, PlainScreen())[0]
    except AiSciError as error:
        outcome = error
    with answer_to:
        pickle.dump(outcome, answer_to)
