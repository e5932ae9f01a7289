"""Whether a reply ends by announcing an edit that does not come: it was cut off in the prose before its next block."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_sci.agent.edits.scan import Scan, name_above

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_EDITING = re.compile(
    r"\b(edit|updat|chang|modif|add|adjust|fix|replac|rewrit|extend|remov|delet|insert|writ|appl|implement|patch"
    r"|label|renam|mov(e|ing)\b|set\b|do the same|block|code\b|file|function|line|version)",
    re.IGNORECASE,
)
_PROMISE = re.compile(
    r"(\b(I|we)(['’]ll| will| now| also| next| then| must| (still )?need to| have to| am going to| are going to)\b"
    r"|\blet(['’]s| me| us)\b)(?! (see|expect|get|find|know|learn|observe|measure|compare|run|check|wait)\b)",
    re.IGNORECASE,
)
_NEXT = re.compile(
    r"(and |but |so )?(next|now|then|also|after (that|this)|finally|lastly|second(ly)?|third(ly)?|another|additionally"
    r"|in addition|furthermore|similarly|likewise|the (next|second|third|other|remaining|following|last))\b",
    re.IGNORECASE,
)
_LEADS_IN = re.compile(r"(and |but |so )?(here|below|in|for|to|edit|update|change|modify|add)\b", re.IGNORECASE)


def announced_edit(scan: Scan, editable: Sequence[str], cut_off: bool) -> str | None:
    """The reply's last sentence, if it stands below all blocks and fences and announces another edit.

    A reply that ended by itself has to end with a colon; one that was cut off may break off in any word.
    """
    last = max((index for index, line in enumerate(scan.lines) if line.strip()), default=None)
    if last is None or last not in scan.free:
        return None
    sentence = _SENTENCE_END.split(scan.lines[last].strip())[-1].strip("*_`#> ")
    colon = sentence.endswith((":", "：", ":`"))
    named = name_above(scan.lines, last + 1, last - 1, editable)
    speaks_of_editing = bool(named.path or named.mentions or _EDITING.search(sentence))
    if colon and (cut_off or speaks_of_editing or _NEXT.match(sentence)):
        return sentence
    begins = _NEXT.match(sentence) or _LEADS_IN.match(sentence) or _PROMISE.search(sentence)
    return sentence if cut_off and begins and speaks_of_editing else None
