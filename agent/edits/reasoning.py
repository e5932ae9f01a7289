"""Separates a model's reasoning from its reply where both come as one text, so that a draft in it is never applied.

Reasoning is what stands between an opening and a closing tag, and what stands above a closing tag that nothing opens,
since some chat templates put the opening tag into the prompt. Where the tags can be read in two ways that differ in
what is applied, `doubt` says so, and the reply is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.edits.patch_envelope import find_envelopes
from ai_sci.agent.edits.reasoning_tags import CLOSING, OPENING, REASONING, Kind, Tag, find_tags, may_explain
from ai_sci.agent.edits.scan import COMPLETED, Scan, scan_reply
from ai_sci.agent.edits.whole_file import NOT_A_FILE

_END_TOKENS = (
    *("<|im_end|>", "<|end|>", "<|return|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "</s>"),
    *("<|end_of_turn|>", "<|end_of_sentence|>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<｜end▁of▁sentence｜>"),
    *("<end_of_turn>", "<turn|>", "<eos>", "[EOS]", "<|eos|>", "<|endofturn|>", "<|user|>", "[END FINAL RESPONSE]"),
)


@dataclass(frozen=True)
class Parted:
    """`doubt`: why it cannot be told what is reasoning, a sentence that refuses the reply."""

    text: str
    reasoning: str = ""
    doubt: str = ""


def part_reasoning(content: str) -> Parted:
    """The reply without its reasoning and end-of-message tokens. A text with neither stays as it is, and so does the
    text that comes out of this."""
    parted = _parted(content)
    if parted.doubt:
        # The text is read again from the journal, and has to be refused then too.
        again = _parted(parted.text)
        if (again.text, again.reasoning, bool(again.doubt)) != (parted.text, "", True):
            return Parted(content, doubt=parted.doubt)
    return parted


def _parted(content: str) -> Parted:
    text, reasoning = _without_end_tokens(content), ""
    while tags := find_tags(text):
        parted = _part(text, tags)
        reasoning = "\n\n".join(filter(None, (reasoning, parted.reasoning)))
        if parted.doubt or parted.text == text:
            return Parted(parted.text, reasoning, parted.doubt)
        text = _without_end_tokens(parted.text)
    return Parted(text, reasoning)


def fenced_drafts(scan: Scan) -> list[str]:
    """A problem for each code fence of reasoning (```thinking) with a block or a patch in it. Where such a fence ends
    cannot be told, since a draft has a fence of its own."""
    starts = [block.head for block in scan.blocks] + [begin for begin, _ in find_envelopes(scan)]
    return [
        f"The code fence at line {fence.open + 1} of the reply is for reasoning (`{fence.info}`) and holds an edit, so "
        "it cannot be told whether the edits are meant. Send them without this fence."
        for fence in scan.fences
        if re.fullmatch(REASONING, fence.info.lower())
        and any(fence.open < start <= (fence.close or start) + 1 for start in starts)
    ]


def opens_reasoning(text: str) -> int:
    """Where the opening tag ends that the text starts with; 0 when there is none."""
    found = re.match(OPENING, text)
    return found.end() if found else 0


def end_of_reasoning(text: str) -> int | None:
    """Where the first closing tag ends."""
    found = re.search(CLOSING, text)
    return found.end() if found else None


def _part(text: str, tags: Sequence[Tag]) -> Parted:
    thoughts: list[str] = []
    kept: list[str] = []  # what stands above an opening tag
    shown: list[str] = []  # the same, and the tags: what a refused reply keeps
    doubt, at = "", 0
    opening = hint = maybe = None
    for tag in tags:
        before = text[at : tag.start]
        if tag.text.startswith("►"):
            before = before.rstrip().rstrip("-")  # aider draws a line above its headings
        if opening and tag.kind in (Kind.closes, Kind.may_close, Kind.ends):
            thoughts.append(before)
            shown.append(tag.text)
            opening = hint = maybe = None
            at = tag.end
        elif opening:
            continue
        elif tag.kind is Kind.opens:
            kept.append(before)
            shown += (before, tag.text)
            opening, at = tag, tag.end
        elif tag.kind is Kind.closes:
            if hint and _holds_edit(text[at : hint.start]):
                doubt = doubt or _above(hint)
                shown += (before, tag.text)
            else:
                thoughts.append(before)
            hint = maybe = None
            at = tag.end
        elif tag.kind is Kind.may_open:
            hint = hint or tag
        elif tag.kind in (Kind.may_close, Kind.mentions_close):
            maybe = tag
    rest = text[at:]
    first = next((tag for tag in tags if tag.kind is Kind.opens), None)
    if first and any(map(_holds_edit, kept)):
        is_remark = opening is not None or may_explain(first)  # it may be about the edits above it
        if not is_remark or any(map(_holds_edit, [rest, *thoughts])):
            doubt = doubt or _above(first)
    if maybe and _differs(maybe, text[at : maybe.start], text[maybe.end :]):
        doubt = doubt or (
            f"`{maybe.text}` at line {maybe.line + 1} of the reply may end your reasoning or may only be mentioned, so "
            "it cannot be told whether the edits above it are meant. Leave it out, or put it in backticks."
        )
    if doubt:
        return Parted(_joined([*shown, rest]), _joined(thoughts).strip(), doubt)
    (thoughts if opening else kept).append(rest)
    if not thoughts:
        return Parted(text)
    return Parted(_joined(kept), _joined(thoughts).strip())


def _differs(tag: Tag, above: str, below: str) -> bool:
    """Whether it matters if a tag that is perhaps only mentioned closes reasoning."""
    return _holds_edit(above) and (tag.kind is Kind.may_close or _holds_edit(below))


def _above(tag: Tag) -> str:
    name = " ".join(tag.text.split())
    return (
        f"An edit stands above the reasoning that `{name}` begins at line {tag.line + 1} of the reply, so it "
        "cannot be told whether it is meant or a draft. Put all edits below the reasoning."
    )


def _holds_edit(part: str) -> bool:
    """Whether the part has something that may be applied, or ends the experiments."""
    scan = scan_reply(part)
    for fence in scan.fences:
        language = fence.info.lower().split(None, 1)[:1]
        if "".join(scan.lines[fence.open + 1 : fence.close]).strip() and not NOT_A_FILE.issuperset(language or [""]):
            return True
    completed = any(COMPLETED.match(scan.lines[index].strip()) for index in scan.free)
    return bool(scan.blocks or scan.problems or find_envelopes(scan)) or completed


def _joined(parts: Sequence[str]) -> str:
    """The parts with a blank line between; white space at the very end stays."""
    filled = [part for part in parts if part.strip()]
    return "\n\n".join([*(part.strip("\r\n") for part in filled[:-1]), *(part.lstrip() for part in filled[-1:])])


def _without_end_tokens(text: str) -> str:
    """The text without the end-of-message tokens that a server should have dropped."""
    cut = text.rstrip()
    while token := next((token for token in _END_TOKENS if cut.endswith(token)), None):
        text = cut = cut.removesuffix(token).rstrip()
    return text
