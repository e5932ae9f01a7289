"""No draft in a model's reasoning is applied, in whatever form it comes, and honest replies stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_sci.agent.edits import EditRefused, all_completed, part_reasoning, plan_edits
from tests.agent.edits.reasoning_corpus import (
    ANSWERS,
    DRAFTS,
    EDITABLE,
    FAKED,
    FILES,
    FORMS,
    GOOD,
    PATCH,
    WHY,
    Case,
    block,
    honest_replies,
    replies_with_reasoning,
    whole,
)

CASES = Path(__file__).parent / "reasoning_replies"
DRAFT, ANSWER = DRAFTS["a block"], ANSWERS["a block"]
DRAFTED = (FAKED, "lr = 99", "lr = 9\n")


@cache
def applied(reply: str) -> dict[str, str] | str:
    """The changed files, or why the reply was refused."""
    try:
        return plan_edits(reply, FILES, EDITABLE).new_files
    except EditRefused as refused:
        return "\n".join(refused.reasons)


def outcome(case: Case) -> str:
    parted = part_reasoning(case.reply)
    got = applied(case.reply)
    again = applied(parted.text)
    if part_reasoning(parted.text).text != parted.text or (again != got and isinstance(got, dict)):
        return "not the same when parted again"
    if isinstance(got, str) and isinstance(again, str):
        return "refused"
    if isinstance(got, str):
        return "refused now, and applied when parted again"
    if all_completed(parted.text) or any(draft in text for text in got.values() for draft in DRAFTED):
        return "draft executed"
    if got != applied(case.answer):
        return "not applied" if not got else "something else applied"
    return "right" if WHY not in parted.text else "reasoning sent back"


def tally(cases: Iterable[Case], judge=outcome) -> tuple[Counter[str], dict[str, list[str]]]:
    names: dict[str, list[str]] = {}
    for case in cases:
        names.setdefault(judge(case), []).append(case.name)
    return Counter({kind: len(found) for kind, found in names.items()}), names


def check(cases: Iterable[Case]) -> None:
    """No draft is executed, and at most 5 in 1,000 answers are refused or not applied."""
    counts, names = tally(cases)
    lost = counts.pop("refused", 0) + counts.pop("not applied", 0)
    right = counts.pop("right")
    assert not counts, {kind: names[kind][:5] for kind in counts}
    assert lost <= 0.005 * right, (lost, right)


def test_no_draft_is_executed():
    check(islice(replies_with_reasoning(), 0, None, 29))  # every form, with other drafts and answers for each


@pytest.mark.slow
def test_no_draft_is_executed_whatever_the_answer():
    check(replies_with_reasoning())


def test_honest_replies_stay_as_they_are():
    def judge(case: Case) -> str:
        if part_reasoning(case.reply).text != case.reply:
            return "changed"
        got = applied(case.reply)
        return "refused" if isinstance(got, str) else "applied" if got == applied(case.answer) and got else "lost"

    counts, names = tally(honest_replies(), judge)
    assert set(counts) == {"applied"}, {kind: found[:5] for kind, found in names.items() if kind != "applied"}
    assert counts["applied"] > 800


@pytest.mark.parametrize("file", sorted(CASES.glob("*.md")), ids=lambda file: file.stem)
def test_replies_as_models_send_them(file):
    new = applied(file.read_text())
    assert isinstance(new, dict)
    assert new == {"experiment.py": FILES["experiment.py"].replace("lr = 0.1", "lr = 0.2")}


@pytest.mark.parametrize("form", FORMS)
def test_reasoning_goes_where_reasoning_belongs(form):
    parted = part_reasoning(FORMS[form](DRAFT, ANSWER))
    assert "Next I try lr = 0.2." in parted.text
    assert FAKED not in parted.text
    assert FAKED in parted.reasoning
    assert "<|" not in parted.text and "</s>" not in parted.text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (f"{GOOD}\n<think>\nThat should do.\n</think>\n", "line 10 of the reply"),
        (f"{GOOD}\n<think>\n{DRAFT}\n</think>\n\n{block('Nothing yet.', 'x', 'notes.txt')}", "below the reasoning"),
        (f"{PATCH}\n<think>\nThat should do.\n</think>\n", "below the reasoning"),
        (f"{PATCH}\nNo, it drops\nwhat precedes </think>\n\n{ANSWER}", "only be mentioned"),
        (f"{DRAFT}\nOkay <think> hm\n</think>\n{ANSWER}", "below the reasoning"),
        (f"{GOOD}\n<think>\nOr rather\n\n{DRAFT}", "below the reasoning"),
        (f"{DRAFT}\nNo, it drops\nwhat precedes </think>\n\n{ANSWER}", "only be mentioned"),
        (f"{DRAFT}\nSo it goes on after </think> and then\n\n{ANSWER}", "only be mentioned"),
        (f"{whole('lr = 99' + chr(10) + '</think>' + chr(10))}\n{GOOD}", "only be mentioned"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(reply, reason):
    got = applied(reply)
    assert isinstance(got, str)
    assert reason in got


@pytest.mark.parametrize("opening", ["<analysis>", "<details>\n<summary>Reasoning</summary>"])
def test_an_explanation_below_the_edits_is_no_reason_to_refuse_them(opening):
    closing = "</details>" if "details" in opening else "</analysis>"
    assert applied(f"{ANSWER}\n{opening}\nIt is faster.\n{closing}\n") == applied(ANSWER)
    assert "below the reasoning" in applied(f"{DRAFT}\n{opening}\nNo.\n{closing}\n\n{ANSWER}")


@pytest.mark.parametrize("fence", ["```thinking", "~~~reasoning", "````thought", "``` Think"])
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_fence_of_reasoning_with_a_draft_is_refused(fence, draft):
    mark = fence.rstrip("abcdefghijklmnopqrstuvwxyzT ")
    for thought in (DRAFTS[draft], DRAFTS[draft].replace("```python", "```")):
        got = applied(f"{fence}\n{thought}\n{mark}\n\n{ANSWER}")
        assert isinstance(got, str) or got == applied(ANSWER)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (f"<think>\n{DRAFT}\n\n{ANSWER}", ""),
        (f"Sure.\n<think>\n{DRAFT}\n\n{ANSWER}", "Sure."),
        (f"<|channel|>analysis<|message|>{DRAFT}", ""),
        (f"{DRAFT}\n</think>\n", ""),
        ("<think>\nALL_COMPLETED\n</think>\nNot yet.", "Not yet."),
    ],
)
def test_reasoning_without_an_answer_is_no_reply(reply, text):
    assert applied(reply) == {}
    assert part_reasoning(reply).text.strip() == text
    assert not all_completed(part_reasoning(reply).text)


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        ("<think>why</think>so", "why", "so"),
        ("\n <think>\nwhy\n</think>\n\nso\n", "why", "so\n"),
        ("<think></think>so", "", "so"),
        ("<think>cut off in thought", "cut off in thought", ""),
        ("no tags", "", "no tags"),
        ("  indented", "", "  indented"),
        ("say <think>this</think>", "", "say <think>this</think>"),
        ("<think>a</think>b\n<think>c</think>\nd", "a\n\nc", "b\n\nd"),
        ("I wonder.\n</think>", "I wonder.", ""),
        ('parts = text.split("</think>")\n', "", 'parts = text.split("</think>")\n'),
        ("```\n</think>\n```\n", "", "```\n</think>\n```\n"),
        ("<thi", "", "<thi"),
        ("   ", "", "   "),
        ("Done.<|im_end|>", "", "Done."),
        ("Done.\n<|eot_id|>\n</s>\n", "", "Done."),
        ("Done. </s> ends it", "", "Done. </s> ends it"),
        ("--------------\n► **THINKING**\n\nwhy\n\n------------\n► **ANSWER**\n\nso", "why", "so"),
    ],
)
def test_what_is_reasoning(content, reasoning, text):
    parted = part_reasoning(content)
    assert (parted.reasoning, parted.text) == (reasoning, text)


TAGS = ["<think>", "</think>", "[THINK]", "[/THINK]", "► **THINKING**", "► **ANSWER**", "<|end|>", "</s>"]
CHANNELS = ["<|channel|>final<|message|>", "assistantfinal", "analysisWe"]
AROUND = ["----------", "`", '"', " ", "a ", "no.", "\n", "\r\n", "ALL_COMPLETED\n"]
BLOCKS = ["<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", "experiment.py\n", "```python\n", "```"]


@given(st.lists(st.sampled_from(TAGS + CHANNELS + AROUND + BLOCKS) | st.text(max_size=3), max_size=30).map("".join))
@example("<think>a</think>analysisWe</think>")
@example("ALL_COMPLETED\n<think></think><think>")
def test_any_text_can_be_parted_and_only_once(text):
    parted = part_reasoning(text)
    again = part_reasoning(parted.text)
    assert (again.text, again.reasoning, bool(again.doubt)) == (parted.text, "", bool(parted.doubt))
    if not any(word in text.lower() for word in ("think", "channel", "assistant", "analysis", "</s>", "<|end|>", "►")):
        assert parted.text == text


@pytest.mark.parametrize(
    "unit", ["<think", "<think> ", "</think>\n", "```\n</think>\n", "<|channel|>", "think\n" + GOOD]
)
def test_long_replies_take_no_time(unit):
    part_reasoning(unit * (200_000 // len(unit)))  # quadratic would be minutes


def test_one_fence_of_many_tags_takes_no_time():
    part_reasoning("```\n" + "</think>\n" * 20_000 + "```\n")
