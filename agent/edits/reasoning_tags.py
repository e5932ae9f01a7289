"""Finds the tags around reasoning in a reply, and says which of them are meant and which are only mentioned.

Tags in SEARCH/REPLACE blocks and patches are part of the code. Elsewhere a tag counts unless it is in quotes, in inline
code, in a code fence or within a sentence.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from ai_sci.agent.edits.patch_envelope import find_envelopes
from ai_sci.agent.edits.quiet import without_warnings
from ai_sci.agent.edits.scan import LONE_NAME, Fence, closes, opened, scan_reply

# `think`, with what models and servers put around it: `seed:think`, `longcat_think`, `thinking-content-0f1e…`.
REASONING = r"think(?:ing)?|thoughts?|reasoning"
_EXPLAINING = "analysis|planning|rationale|brainstorming|deliberation"
_WORDS = rf"{REASONING}|reflection|scratchpad|monologue|cot|{_EXPLAINING}"
_NAME = rf"(?:[\w▁]{{1,20}}[:_▁]|ant)?(?:{_WORDS})(?:[-_:][\w-]{{1,80}})?"
_LEFT, _RIGHT = r"(?:\\?[<＜]|&lt;)", r"\s{0,9}[|｜]?(?:\\?[>＞]|&gt;)"
_CHANNEL = r"(?:<\|start\|>assistant\s{0,9})?<\|channel\|>\s{0,9}"
_MESSAGE = r"[^<\n]{0,200}(?:<\|constrain\|>[^<\n]{0,99})?<\|message\|>"
OPENING = "|".join(
    (
        rf"(?i:{_LEFT}[|｜]?(?!end[_▁]){_NAME}(?:\s[^<>\n]{{0,200}})?{_RIGHT})",
        r"\[THINK(?:ING)?\]|◁\s?think(?:ing)?\s?▷|<unused94>thought|► \*\*THINKING\*\*",
        rf"{_CHANNEL}(?!final\b|\w+ to=)\w{_MESSAGE}|<\|channel>\w{{1,20}}",
        # gpt-oss' channels from a server that drops special tokens
        r"\A\s{0,9}(?:analysis|commentary)(?=[A-Z])|assistant(?:analysis|commentary)(?=[A-Z])",
        r"(?ms:\A\s{0,9}Here is my thought process:(?=.*^Here is my response:))",  # Granite
        r'<details type="reasoning"[^<>\n]{0,200}>',  # Open WebUI
        rf"(?i:<details>\s{{0,9}}<summary>[^<\n\w]{{0,9}}(?:{REASONING})\b[^<\n]{{0,80}}</summary>)",
    )
)
CLOSING = "|".join(
    (
        rf"(?i:{_LEFT}(?:[|｜]?\s?[/\\]/?|[|｜]?end[_▁](?:of[_▁])?)\s?{_NAME}{_RIGHT})",
        rf"(?i:\[/(?:{REASONING})\])|◁\s?/\s?think(?:ing)?\s?▷|<unused95>|► \*\*ANSWER\*\*|\[BEGIN FINAL RESPONSE\]",
        rf"(?:<\|end\|>\s{{0,9}})?{_CHANNEL}final\b{_MESSAGE}|<channel\|>",
        r"assistantfinal(?=\S|\n)",
        r"(?m:^\.\.\.done thinking\.$)",  # Ollama's terminal
    )
)
_ENDS = r"<\|end\|>|</details>|(?m:^Here is my response:)"  # only what is open
_TAG = re.compile(rf"(?P<opens>{OPENING})|(?P<closes>{CLOSING})|(?P<ends>{_ENDS})")
_HINT = re.compile(rf"(?i){_WORDS}|channel|commentary|assistantfinal|unused95|response|► \*\*")
_WINDOW = 300  # characters of its line that decide how a tag is meant
_DECORATION = " \t>#*_-"  # of Markdown, around a tag
_GOES_ON = re.compile(r"\s+[a-z(&]|[,.;:!?)\]/|]")  # what follows a word within a sentence


class Kind(Enum):
    """What a tag does. The last three can be read in two ways."""

    opens = "opens"
    closes = "closes"
    ends = "ends"  # what is open, and means nothing elsewhere
    may_open = "may open"
    may_close = "may close"
    mentions_close = "mentions close"  # a sentence goes on around a closing tag


@dataclass
class Tag:
    """A tag at `start` to `end` of the reply, in the line of index `line`; `kind` is None if it is only mentioned."""

    start: int
    end: int
    kind: Kind | None
    line: int
    text: str


def find_tags(text: str) -> list[Tag]:
    """The tags of a reply outside its blocks, in order."""
    if not _HINT.search(text):
        return []
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    scan = scan_reply(text)
    blocks = {index for block in scan.blocks for index in range(block.head, block.end + 1)}
    blocks |= {index for begin, end in find_envelopes(scan) if end for index in range(begin, end + 1)}
    fences = _code_fences(lines, blocks)
    doubtful: dict[int, bool] = {}  # by its first line: whether a fence may end in the answer after a draft
    tags: list[Tag] = []
    for found in _TAG.finditer(text):
        line = bisect_right(starts, found.start()) - 1
        if line in blocks:
            continue
        last = tags[-1] if tags and tags[-1].line == line else None
        tag = Tag(*found.span(), Kind(found.lastgroup), line, found[0].strip())
        before = text[max(starts[line], tag.start - _WINDOW) : tag.start]
        after = text[tag.end : tag.end + _WINDOW].split("\n", 1)[0].rstrip()
        above = lines[line - 1].strip() if line else ""
        if fence := fences.get(line):
            alone = not before.strip() and not after.strip()
            if alone and fence.open not in doubtful:
                doubtful[fence.open] = tag.kind is Kind.closes and not _is_code(fence, lines)
            tag.kind = Kind.may_close if alone and doubtful[fence.open] and tag.kind is Kind.closes else None
        elif _is_quoted(tag, before, after):
            tag.kind = None
        elif tag.kind is Kind.opens and not _is_special(tag):
            tag.kind = _kind_of_opening(before, after, above)
        elif tag.kind is Kind.closes and not _is_special(tag):
            tag.kind = _kind_of_closing(before, after, above, last)
            if tag.kind is Kind.mentions_close and last and last.kind is Kind.opens:
                last.kind, tag.kind = Kind.may_open, None  # `<think> and </think> are dropped`
        tags.append(tag)
    return tags


def may_explain(tag: Tag) -> bool:
    """Whether models use the tag below their edits as well, around what they say about them."""
    return bool(re.match(rf"(?i)<(?:details|{_EXPLAINING})\b", tag.text))


def _is_special(tag: Tag) -> bool:
    """Whether nobody writes the tag within a sentence."""
    return "channel" in tag.text or tag.text[0] in "►.acH"


def _is_quoted(tag: Tag, before: str, after: str) -> bool:
    if any(before.count(quote) % 2 and quote in after for quote in '`"'):
        return True
    closed = after[:1] in ("'", "’", "”", "»")
    return before[-1:] in ("'", "‘", "“", "«") and (closed or tag.kind is Kind.opens)


def _starts_line(before: str) -> bool:
    return not before.strip(_DECORATION)


def _is_wrapped(before: str, after: str, above: str) -> bool:
    """Whether a sentence from the line above goes on with the tag."""
    return not before.strip() and bool(re.search(r"[\w,]\Z", above) and re.match(r"\s+[a-z]", after))


def _kind_of_opening(before: str, after: str, above: str) -> Kind:
    if _starts_line(before):
        mentioned = _is_wrapped(before, after, above) or re.match(r"[,.;:()/|]", after)
    elif re.search(r"[.!?…]\W{0,3}\Z", before):
        mentioned = False
    else:
        mentioned = _GOES_ON.match(after) or not re.search(r"[;:)*\]]\s*\Z", before)
    return Kind.may_open if mentioned else Kind.opens


def _kind_of_closing(before: str, after: str, above: str, last: Tag | None) -> Kind | None:
    if (last and last.kind in (None, Kind.may_open)) or re.search(r"[(/\[{|=]\Z", before):
        return None  # such as the second of a pair that a sentence mentions
    if _starts_line(before):
        return Kind.mentions_close if _is_wrapped(before, after, above) else Kind.closes
    if not re.search(r"[\w,:]\s+\Z", before) or LONE_NAME.fullmatch(after.strip()):
        return Kind.closes
    if not after.strip():
        return Kind.may_close
    return Kind.mentions_close if _GOES_ON.match(after) else Kind.closes


def _code_fences(lines: Sequence[str], blocks: set[int]) -> dict[int, Fence]:
    """The fence of each line in one.

    A fence that holds a block or the start of another fence began in a draft that was given up, or is around an edit:
    it says nothing about tags.
    """
    found: dict[int, Fence] = {}
    fence: Fence | None = None
    for index, line in enumerate(lines):
        inner = opened(index, line)
        if index in blocks:
            if fence:
                fence.taken = True
        elif fence is None:
            fence = inner
        elif closes(line, fence):
            fence.close = index
            if not fence.taken:
                found.update(dict.fromkeys(range(fence.open + 1, index), fence))
            fence = None
        elif inner and inner.info and len(inner.mark) >= len(fence.mark):
            fence = inner
    return found


def _is_code(fence: Fence, lines: Sequence[str]) -> bool:
    """Whether all of a fence is code, so that it does not end in the answer after a draft."""
    body = lines[fence.open + 1 : fence.close]
    if fence.info.lower().startswith(("diff", "patch", "udiff")):
        return all(line[:1] in ("", " ", "+", "-", "@", "\\") for line in body)
    try:
        with without_warnings():
            ast.parse("\n".join(body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
