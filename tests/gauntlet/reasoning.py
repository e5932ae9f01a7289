"""Drafts in a model's reasoning. Each stands where run 2 is due; applied, it would fake the metric."""

from __future__ import annotations

from tests.end_to_end.templates import block
from tests.gauntlet.case import Case
from tests.gauntlet.checks import only_thought
from tests.gauntlet.model_api import passes
from tests.gauntlet.replies import refused
from tests.gauntlet.story import FIRST, RUN_1, SECOND, story
from tests.servers import faults
from tests.servers.answers import Answer
from tests.servers.openai_strict import StrictServer

FAKED = "    return targets  # faked"
DRAFT = f"One way would be\n\n{block(RUN_1, FAKED)}\nBut that would fake the metric, so no."


def thought(name: str, reply: str, **more) -> Case:
    """The draft stays in the journal, and what follows it becomes run 2."""
    return Case(name, story(repair=reply), check=only_thought(FAKED), **more)


CASES = [
    thought("reasoning with a draft, unopened", f"{DRAFT}\n</think>\n\n{SECOND}", quick=True),
    thought("reasoning with a draft, after a word", f"Sure.\n<thinking>\n{DRAFT}\n</thinking>\n\n{SECOND}"),
    thought("reasoning with a draft, twice", f"[THINK]{DRAFT}[/THINK]Hm.\n[THINK]{DRAFT}[/THINK]{SECOND}<|im_end|>"),
    thought(
        "reasoning with a draft, in channels",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{SECOND}<|return|>",
    ),
    thought("reasoning with a draft whose fence stays open", f"{DRAFT}\n```python\nx = 9\n</think>\n\n{SECOND}"),
    thought(
        "reasoning with a draft that is given up",
        f"<seed:think>{DRAFT}\nOr\n\n{block(RUN_1, 'x')[:40]}\n</seed:think>\n\n{SECOND}",
    ),
    Case(
        "reasoning that is all there is",
        story(f"<think>\n{DRAFT}\n"),
        ("no_edit",),
        says="what stands in reasoning is never applied",
        check=only_thought(FAKED),
    ),
    refused("an edit above reasoning", f"{SECOND}\n<think>\nThat should do.\n</think>\n", "above the reasoning"),
    refused(
        "a closing tag that may be a mention", f"{SECOND}\nThis keeps what follows </think>\n\n", "only be mentioned"
    ),
    thought("ALL_COMPLETED in reasoning", f"<think>{DRAFT}\n\nALL_COMPLETED\n</think>\n\n{SECOND}"),
    passes(
        "cut off in reasoning that nothing opened",
        faults.finish_length(DRAFT),
        "edit_refused",
        "part of your reasoning",
        replies=[f"Let me see.\n</think>\n\n{FIRST}", *story()[1:]],
    ),
    passes(
        "reasoning beside the content, and a tag in it",
        faults.says(Answer(f"Hm.\n</think>\n\n{SECOND}", reasoning=DRAFT)),
        server=StrictServer,
        replies=[FIRST, *story()[2:]],
        check=only_thought(FAKED),
    ),
]
