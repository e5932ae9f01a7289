"""A reply that announces another edit and then ends is refused: what it has is only a half."""

from __future__ import annotations

import pytest

from ai_sci.agent.edits import EditRefused, plan_edits
from tests.agent.edits.edit_replies import EDITABLE, FILES, block
from tests.agent.edits.test_edits_replies import CHANGED, LR, NEW_LR

EDIT = block(LR, NEW_LR)


def refusal(reply: str, cut_off: bool) -> str:
    with pytest.raises(EditRefused) as refused:
        plan_edits(reply, FILES, EDITABLE, cut_off)
    return "\n".join(refused.value.reasons)


@pytest.mark.parametrize("cut_off", [False, True], ids=["ended", "cut off"])
@pytest.mark.parametrize(
    "tail",
    [
        "I will now also edit plot.py:",
        "**Next, the labels of the plot:**",
        "That was the first change. Now plot.py:",
        "### 2. Update `plot.py`:",
        "Next, the evaluation loop:",
        "Then we add the new run to the labels：",
        "And here is the second block:\n\n",
    ],
)
def test_a_colon_announces(tail, cut_off):
    assert "is missing" in refusal(f"{EDIT}\n{tail}", cut_off)


@pytest.mark.parametrize(
    "tail",
    [
        "I will now also edit plot.py",
        "Next, let's update the labels",
        "We also need to change the plotting code so that the new",
        "And in plot.py",
        "The step is smaller now. Finally, I'll add a line to not",
        "Now let me modify the eval",
        "Second:",
    ],
)
def test_a_reply_that_was_cut_off_may_announce_in_any_words(tail):
    assert "is missing" in refusal(f"{EDIT}\n{tail}", cut_off=True)


@pytest.mark.parametrize("cut_off", [False, True], ids=["ended", "cut off"])
@pytest.mark.parametrize(
    "tail",
    [
        "",
        "This makes the step smaller.",
        "This changes the learning rate.",
        "With this edit the loss should fall, and we will see a lower l0.",
        "I expect a smaller loss in run 1",
        "Then the loss should go down",
        "Run it with:\n```bash\npython experiment.py --out_dir=run_1\n```",
        "The second block sets the rate:\n\n" + block("BETA = 0.9\n", "BETA = 0.8\n"),
    ],
)
def test_talk_announces_nothing(tail, cut_off):
    files = {**FILES, "experiment.py": FILES["experiment.py"] + "\nBETA = 0.9\n"}
    new = plan_edits(f"{EDIT}\n{tail}", files, EDITABLE, cut_off).new_files["experiment.py"]
    assert NEW_LR in new


@pytest.mark.parametrize(
    "tail", ["I will now also edit plot.py.", "Next I'd change the labels in plot.py", "Result:", "Here is my answer:"]
)
def test_only_a_colon_announces_where_the_reply_ended_by_itself(tail):
    assert plan_edits(f"{EDIT}\n{tail}", FILES, EDITABLE).new_files == {"experiment.py": CHANGED}


def test_without_an_edit_there_is_nothing_to_refuse():
    assert plan_edits("I will now edit plot.py:", FILES, EDITABLE, cut_off=True).blocks == 0
