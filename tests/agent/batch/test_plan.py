"""Which ideas a batch works on."""

from __future__ import annotations

import json

import pytest

from ai_sci.agent.batch.plan import BatchOptions, find_ideas, named_sessions
from ai_sci.agent.commands import RunOptions
from ai_sci.experiment.base.errors import ConfigError
from tests.end_to_end.templates import IDEA, make_template

TWICE = [IDEA, {**IDEA, "Experiment": "Something else."}, IDEA]


@pytest.mark.parametrize("source", ["all", "ideas.json", "more_steps,more_steps_2"])
def test_ideas_of_one_name_become_sessions_of_their_own(tmp_path, source):
    template = make_template(
        tmp_path / "t", ideas_json=json.dumps({"ideas": TWICE}), seed_ideas_json=json.dumps([IDEA])
    )
    ideas = str(template / source) if source.endswith(".json") else source
    options = BatchOptions(ideas, RunOptions(idea="", model="scripted:x"), (str(template),))
    planned = find_ideas(options)
    assert [one.idea.experiment for one in planned] == [IDEA["Experiment"], "Something else."]
    assert [one.session for one in named_sessions(planned, ())] == ["more_steps", "more_steps_2"]
    assert len(planned[0].idea.notes) == 2


def test_a_template_without_ideas_is_refused(tmp_path):
    template = make_template(tmp_path / "t", ideas_json="[]")
    options = BatchOptions("all", RunOptions(idea="", model="scripted:x"), (str(template),))
    with pytest.raises(ConfigError, match="has no ideas.json: pass --ideas FILE.json"):
        find_ideas(options)
