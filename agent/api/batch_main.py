"""The process that batch_process.py starts for a batch: one call, one answer. Its argument is the parent's pid."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
from pathlib import Path

from ai_sci.agent import batch
from ai_sci.agent.session import PlainScreen
from ai_sci.experiment.base import AiSciError

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Reads a pickled call from stdin and writes its pickled outcome to stdout: a folder or an AiSciError."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # shut down when the parent dies
    if os.getppid() != int(sys.argv[1]):  # it died before prctl
        sys.exit(3)
    answer_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that prints cannot corrupt the answer
    function, arguments = pickle.load(sys.stdin.buffer)
    try:
        outcome: Path | AiSciError = getattr(batch, function)(*arguments, PlainScreen())[0]
    except AiSciError as error:
        outcome = error
    with answer_to:
        pickle.dump(outcome, answer_to)


if __name__ == "__main__":
    main()
