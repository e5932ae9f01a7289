"""Trusted commands: what they print is told and logged without keys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ai_sci.experiment.base import run_child

KEY = "hf_Planted0123456789"


def test_what_a_command_prints_is_told_and_logged_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    told: list[str] = []
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    program = "import os, sys; print('token', os.environ['HF_TOKEN']); sys.exit(f'no {os.environ}')"
    argv = [sys.executable, "-c", program]
    finished = run_child(argv, tmp_path, {"HF_TOKEN": KEY}, told.append, tmp_path / "log", lock)
    os.close(lock)
    assert finished.code == 1 and "token HF_TOKEN" in told
    for text in (repr(finished), repr(told), (tmp_path / "log").read_text()):
        assert "HF_TOKEN" in text and KEY not in text
