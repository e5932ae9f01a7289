"""aider takes the first of several places; so the block is made to mean that one."""

from __future__ import annotations

import pytest

from ai_sci.agent.aider_history.first_places import at_first_places
from ai_sci.agent.edits import EditRefused, plan_edits
from tests.agent.aider_history.chats import edit

CODE = "a = 1\nstep()\nb = 1\nstep()\nc = 1\n"


def planned(reply: str, text: str) -> str:
    return plan_edits(reply, {"experiment.py": text}, ["experiment.py"]).new_files["experiment.py"]


def test_the_first_of_several_places_is_edited():
    reply = edit("step()", "walk()")
    with pytest.raises(EditRefused):
        planned(reply, CODE)
    assert planned(at_first_places(reply, {"experiment.py": CODE}), CODE) == CODE.replace("step", "walk", 1)


def test_each_block_finds_what_those_above_it_left():
    reply = "\n\n".join([edit("step()", "walk()"), edit("step()", "run()"), edit("c = 1", "step()\nstep()")])
    told = at_first_places(reply, {"experiment.py": CODE})
    assert planned(told, CODE) == "a = 1\nwalk()\nb = 1\nrun()\nstep()\nstep()\n"


def test_as_many_lines_are_added_as_are_needed():
    text = "x\nif a:\n    f()\ny\nif a:\n    f()\n"
    told = at_first_places(edit("    f()", "    g()"), {"experiment.py": text})
    assert told == edit("x\nif a:\n    f()", "x\nif a:\n    g()")


@pytest.mark.parametrize("search", ["a = 1", "nowhere", "step()\nb = 1"])
def test_a_block_that_means_one_place_or_none_stays(search):
    reply = f"A plan.\n\n{edit(search, 'x')}\n\nThe end."
    assert at_first_places(reply, {"experiment.py": CODE}) == reply


def test_what_no_line_tells_apart_stays():
    reply = edit("f()", "g()")
    assert at_first_places(reply, {"experiment.py": "f()\nf()\n"}) == reply
