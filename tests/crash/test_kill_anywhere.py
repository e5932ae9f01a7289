"""`kill -9` at every boundary of the journal and at other instants; afterwards nothing differs from a quiet night."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.deaths import Death
from tests.crash.launcher import Launcher
from tests.crash.stories import STORIES, Story
from tests.crash.trials import Kill, Stage, answer_by_turn
from tests.servers.openai_strict import StrictServer


@contextlib.contextmanager
def open_stage(story: Story, folder: Path, launcher: Launcher) -> Iterator[Stage]:
    if not story.wire:
        yield Stage(story, folder, launcher, None)
        return
    with StrictServer(answer_by_turn(story.replies)) as server:
        yield Stage(story, folder, launcher, server)


def hold(stage: Stage, points: list[list[Kill]], record_property) -> None:
    """Kills at each point; all of them are tried before the first difference is reported."""
    found: dict[str, list[str]] = {}
    reached = deaths = 0
    for kills in points:
        found[", then ".join(map(str, kills))] = stage.compare(kills)
        reached += stage.deaths > 0  # an instant can come too late
        deaths += stage.deaths
    different = {kills: lines for kills, lines in found.items() if lines}
    record_property("kill -9 points", reached)
    record_property("kill -9 deaths", deaths)
    record_property("kill -9 differences", len(different))
    assert not different, "\n".join(
        f"killed at {kills}: {line}" for kills, lines in different.items() for line in lines
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_killed_at_some_points(launcher, tmp_path, story, record_property):
    rng = random.Random(story.name)
    with open_stage(story, tmp_path, launcher) as stage:
        points = [*rng.sample(stage.points(), 2), *stage.twice(rng, 1), *stage.instants(rng, 1)]
        hold(stage, points, record_property)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_killed_anywhere(launcher, tmp_path, story, record_property):
    rng = random.Random(f"anywhere in {story.name}")
    with open_stage(story, tmp_path, launcher) as stage:
        points = [*stage.boundaries(), *rng.sample(stage.points(), 24), *stage.twice(rng, 6), *stage.instants(rng, 6)]
        hold(stage, points, record_property)


def test_a_kill_that_never_happens_is_no_point(launcher, tmp_path):
    with open_stage(STORIES[0], tmp_path, launcher) as stage:
        assert stage.compare([Death("record", 999, "after")]) == ["the kill never happened"]
        assert stage.compare([60.0]) == [] and stage.deaths == 0


def test_a_difference_is_found(launcher, tmp_path):
    """The comparison itself: a session whose model said something else is not the same."""
    from tests.crash.compare import differences

    story = STORIES[0]
    other = Story(story.name, [reply.replace("20", "25") for reply in story.replies], story.toml)
    with (
        open_stage(story, tmp_path / "one", launcher) as one,
        open_stage(other, tmp_path / "other", launcher) as another,
    ):
        parts = [line.split(":")[0] for line in differences(one.whole.picture, another.whole.picture)]
    assert parts == ["story", "ledger", "counters", "tree", "history", "logs", "files"]
