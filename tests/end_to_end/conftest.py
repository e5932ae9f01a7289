"""Sessions told by the loop itself, and replayed by the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ai_sci.agent.commands import start
from ai_sci.agent.session.screen import PlainScreen
from tests.crash.launcher import warm_process
from tests.end_to_end.command import Done, ai_sci
from tests.end_to_end.stories import Story
from tests.end_to_end.templates import make_template, write_script


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    """Its imports take no time of the first test, in which a clock may run."""
    warm_process()


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tell(tmp_path, monkeypatch, cache) -> Callable[[Story], Path]:
    """Has a story told by the loop itself in this process, which saves the imports; returns the session."""
    monkeypatch.setenv("AI_SCI_CACHE", cache)

    def run(story: Story) -> Path:
        template = make_template(tmp_path / "template", story.toml, **(story.files or {}))
        options = start.RunOptions(
            idea="more_steps",
            template=str(template),
            model=write_script(tmp_path / "script", story.replies),
            runs_dir=tmp_path / "runs",
            session="s",
            max_runs=story.max_runs,
            context_window=story.context_window,
            overrides=story.overrides or {},
        )
        return start.run(options, PlainScreen())[0]

    return run


@pytest.fixture
def again(tmp_path, cache) -> Callable[..., Done]:
    """`ai-sci replay` of it, as a user gives it."""
    return lambda *args, **env: ai_sci("replay", *args, cwd=tmp_path, **{"AI_SCI_CACHE": cache, **env})
