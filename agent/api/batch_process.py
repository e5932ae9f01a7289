"""Runs a batch in its own process: a batch forks, which is unsafe in a process with threads (a notebook's kernel).

The process (batch_main.py) gets a function's name and arguments on stdin, reports progress on stderr and answers on
stdout.
"""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_sci.agent.interrupts import signals_interrupt
from ai_sci.experiment.base import AiSciError
from ai_sci.import_path import python_argv


def run_apart(function: str, arguments: tuple[Any, ...], tell: Callable[[str], None]) -> Path:
    """Calls `run_batch` or `resume_batch` in a new process, and returns the batch's folder.

    Passes an interrupt on and waits for the process to shut down. Raises what the function raises.
    """
    process = subprocess.Popen(
        python_argv("ai_sci.agent.api.batch_main", str(os.getpid())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # otherwise a Ctrl-C in the terminal would reach it twice
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
