"""Parts of an over-long answer, which aider writes one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_sci.agent.aider_history.parts import join_parts
from tests.agent.aider_history.chats import edit

GAP = "\n\n\n"
BODY = "def f():\n    a = g(1)\n    b = h(a)\n    return a + b"


@pytest.mark.parametrize(
    ("whole", "parted"),
    [
        ("    a = g(1)", f"    a{GAP}= g(1)"),  # a blank is lost at the parting
        ("    b = h(a)", f"    b = h(a{GAP})"),
        ("    a = g(1)\n    b", f"    a = g(1){GAP}b"),
        ("    long_name = 1\n    b", f"    long_{GAP}name = 1\n    b"),
        (">>>>>>> REPLACE", f">>>>>>> REP{GAP}LACE"),
        ("<<<<<<< SEARCH", f"<<<<<<<{GAP}SEARCH"),
        ("=======", f"===={GAP}==="),
    ],
)
def test_what_cannot_be_meant_as_it_is_is_joined(whole, parted):
    reply = "A plan.\n\n" + edit("x = 1", BODY.replace("a = g(1)", "long_name = 1") if "long" in whole else BODY)
    assert whole in reply
    assert join_parts(reply.replace(whole, parted)) == reply


@pytest.mark.parametrize(
    "honest",
    [
        BODY + GAP + "def g(x):\n    return x",
        BODY + GAP + "if __name__ == '__main__':\n    f()",
        BODY + GAP + "VALUES = [\n    1,\n]",
        BODY + GAP + "x = f()\nprint(x)",
        BODY + GAP + "# The rest\n    # is a remark.",
        BODY + GAP + "    # still inside\n    pass",
        "x = 1" + GAP + "y = 2\n    ",
    ],
)
def test_two_blank_lines_that_may_be_meant_stay(honest):
    reply = edit("x = 1", honest)
    assert join_parts(reply) == reply


def test_a_file_that_is_no_python_stays():
    reply = edit("## Run 0", "- one\n  more" + GAP + "Next\n  - steps", file="notes.txt")
    assert join_parts(reply) == reply


@given(st.lists(st.sampled_from([GAP, "\n", "a", "    b", "= 1", "=======", "<<<<<<< SEARCH", "x.py\n", "```\n"])))
def test_any_text_keeps_its_words(pieces):
    text = "".join(pieces)
    assert "".join(join_parts(text).split()) == "".join(text.split())
