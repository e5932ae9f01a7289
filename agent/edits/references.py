"""How plainly one line of an edit refers to code that it leaves out, such as `# (rest of the loop unchanged)`.

Only the line is judged here; what the edit does with it is decided in stand_ins.py. The marks of comments are those of
any language, since a model may write `//` in Python.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

from ai_sci.agent.edits.quiet import without_warnings
from ai_sci.agent.edits.reference_words import (
    ASKED_FOR,
    DOTS,
    ELSEWHERE,
    EXPLAINED,
    FILLER,
    KEPT,
    LEFT,
    REASON,
    REFERRING,
)

PROSE = (".txt", ".md", ".rst")  # files in which every line counts and `#` starts no comment
LONGEST = 200  # characters; a longer line explains something
FARTHEST = 40  # lines looked at around one

AROUND = r"[\s\"'`,:;()\[\]{}<>«»【】（）*#/%!=~-]*"
ONLY_DOTS = re.compile(rf"{AROUND}(?:{DOTS}\.*|\.\.){AROUND}(?<!:)")
STUB = re.compile(rf".*[:{{]\s*{DOTS}\s*[}};]?")  # `def f(self): ...`
STUBS_BELONG = re.compile(r"\b(?:Protocol|overload|abstractmethod)\b")
LED_BY_DOTS = re.compile(rf"[-\s]*{DOTS}")
DOTS_AND_WORDS = re.compile(rf"{DOTS}(?:\s+[(\[<]?\w|.*{DOTS}$)")  # `...name` is JavaScript
BRACKETED = re.compile(r"\(.*\)\.?|\[.*\]\.?|<.*>|\{.*\}|（.*）|【.*】|«.*»|《.*》")
# A mark that could be an operator counts only before a space. The groups hold the text.
COMMENT = re.compile(
    r"(?:/\*+(?P<c>.*?)(?:\*+/)?|<!--(?P<xml>.*?)(?:-->)?|\{#(?P<jinja>.*?)(?:#\})?|\(\*(?P<ml>.*?)(?:\*\))?|"
    r"\{-(?P<haskell>.*?)(?:-\})?|\"\"\"(?P<docstring>.*?)(?:\"\"\")?|'''(?P<string>.*?)(?:''')?|"
    r"#+(?!!|(?:include|ifn?def|if|elif|else|endif|define|undef|pragma|error)\b)(?P<hash>.*)|"
    r"(?://+|(?:--+|[%;!*]+|REM|dnl)(?=\s|$))(?P<line>.*))"
)
TRAILING = re.compile(r"(?P<code>[^#/\"']*)(?P<comment>(?:#|//|/\*).*)")
NOTHING_DONE = re.compile(
    r"[\s()\[\]{};,:]*(?:(?:pass|return|continue|break|\.\.\.|raise NotImplementedError.*);?)?[\s()\[\]{};,:]*"
)


class Reference(IntEnum):
    """How plainly a line refers to code that is left out."""

    none = 0
    heading = 1  # a comment above code, of words such as `training loop` alone
    label = 2  # a short comment with no code of its own below it
    possible = 3  # a comment with a word such as `before`
    ambiguous = 4  # it may be about the code below it, or a stub such as `def f(): ...`
    likely = 5  # it says little else
    plain = 6  # what is left out, and that it stays: `... rest of the loop unchanged`


def is_code(line: str, path: str) -> bool:
    """Whether the line does something: no comment, no brackets alone, no `pass`. In prose every line counts."""
    text = line.strip()
    if path.endswith(PROSE):
        return bool(text) and not ONLY_DOTS.fullmatch(text)
    return not NOTHING_DONE.fullmatch(text) and _comment_text(text) is None


def reference(lines: Sequence[str], index: int, path: str) -> Reference:
    """How plainly the line at `index` refers to code that is left out."""
    line = lines[index].strip()
    if not line or len(line) > LONGEST:
        return Reference.none
    above = next((lines[at].strip() for at in range(index - 1, -1, -1) if lines[at].strip()), "")
    if ONLY_DOTS.fullmatch(line):
        may_be_code = above.endswith((":", "{", "(", "[", ",", "=", '"""')) and _comment_text(line) is None
        return _of_stub(lines[max(0, index - FARTHEST) : index + 1]) if may_be_code else Reference.plain
    if path.endswith(PROSE):
        return _of_prose(line)
    text = _comment_text(line)
    if text is not None:
        return _of_comment(lines, index, text, goes_on=_comment_text(above) is not None)
    if STUB.fullmatch(line):
        return _of_stub(lines[max(0, index - FARTHEST) : index + 1])
    trailing = TRAILING.fullmatch(line)
    if not trailing:
        return _of_bare(line)
    found = _of_text(_comment_text(trailing["comment"]) or "")
    return found if NOTHING_DONE.fullmatch(trailing["code"]) or found is Reference.plain else Reference.none


def names_left_out(line: str) -> bool:
    """Whether dots, as a comment or alone, come before what they stand for."""
    text = line.strip() if LED_BY_DOTS.match(line.strip()) else _comment_text(line)
    return bool(text and LED_BY_DOTS.match(text) and _says_kept(text))


@lru_cache(maxsize=1024)  # a comment is looked at again for each line above it
def _comment_text(line: str) -> str | None:
    """What a comment says, without its marks; None when the line is no comment."""
    found = COMMENT.fullmatch(line.strip())
    if not found:
        return None
    return next(text for text in found.groups() if text is not None).strip(" \t#*-=/")


def _of_stub(lines: Sequence[str]) -> Reference:
    """Of dots that may be code, as in a Protocol."""
    return Reference.none if any(STUBS_BELONG.search(line) for line in lines) else Reference.ambiguous


def _of_prose(line: str) -> Reference:
    """Of a line of a text, where only something in brackets or after dots can stand for other lines."""
    text = (_comment_text(line) or "") if line.startswith("<!--") else line
    is_apart = text != line or _is_set_apart(text)
    return Reference.plain if is_apart and _says_kept(text) and not _others(text) else Reference.none


def _of_comment(lines: Sequence[str], index: int, text: str, goes_on: bool) -> Reference:
    """Of a line that is a comment. `goes_on`: it may only continue the sentence of a comment above it."""
    found = _of_text(text, goes_on)
    if lines[index].strip().startswith(('"""', "'''")):
        return found if found >= Reference.likely else Reference.none
    heads_code = _heads_code(lines, index)
    if heads_code and found < Reference.plain:
        says_little = found is Reference.likely and (KEPT.search(text) or ELSEWHERE.search(text) or not _others(text))
        if says_little:
            return Reference.ambiguous
        return Reference.heading if _is_label(text) and not _others(text) else Reference.none
    if found is Reference.none and _is_label(text):
        return Reference.label
    return found


def _is_label(text: str) -> bool:
    """Whether a comment is a few words without a reason, such as `training loop`, or a mark without any."""
    if not re.search(r"[\w`(){}<>;,|]", text):
        return 0 < len(text) < 12
    is_short = len(text) > 3 and len(text.split()) < 8 and bool(re.fullmatch(r"\(?[\w'’. -]+\)?", text))
    return is_short and not EXPLAINED.search(text) and not REASON.search(text)


def _heads_code(lines: Sequence[str], index: int) -> bool:
    """Whether the comment stands directly above code of the same indentation."""
    depth = len(lines[index]) - len(lines[index].lstrip())
    for line in lines[index + 1 : index + FARTHEST]:
        if not line.strip() or len(line) - len(line.lstrip()) != depth:
            return False
        if _comment_text(line) is None:
            return True
    return False


def _of_text(text: str, goes_on: bool = False) -> Reference:
    """Of what a comment says; `goes_on` as above."""
    others, kept, left, stays = _others(text), _says_kept(text), bool(LEFT.search(text)), bool(KEPT.search(text))
    words, led_by_dots, ends_in_dots = text.split(), bool(LED_BY_DOTS.match(text)), bool(re.search(rf"{DOTS}$", text))
    foreign = len(ELSEWHERE.findall(text)) if len(words) <= 10 else 0
    if (left and stays and not others) or foreign > 1:
        return Reference.plain
    if kept and _is_set_apart(text):
        return Reference.plain if ends_in_dots or others <= (2 if led_by_dots else 0) else Reference.likely
    if DOTS_AND_WORDS.match(text) and not goes_on:
        return Reference.plain if others <= 4 else Reference.likely
    if not others and (kept or ends_in_dots):
        return Reference.likely
    if (left and others <= (3 if stays else 1)) or (ASKED_FOR.search(text) and others <= 2):
        return Reference.likely
    if foreign and len(words) <= 5 and len(text) <= 40:
        return Reference.likely
    if EXPLAINED.search(text) or others > 5:
        return Reference.none
    says_some = kept or ends_in_dots or DOTS_AND_WORDS.match(text) or (REFERRING.search(text) and others <= 2)
    return Reference.possible if says_some else Reference.none


def _of_bare(line: str) -> Reference:
    """Of a line without the mark of a comment: brackets or dots around words, or a sentence that is no code."""
    no_words = not re.search(rf"\w\s+\w|^{DOTS}\s", line)
    if no_words or re.search(r"[=`$\\@|&]|\w\(", line) or not _says_kept(line):
        return Reference.none
    if _parses(line) and not re.match(rf"{DOTS}\s", line):
        return Reference.none
    if _is_set_apart(line):
        return Reference.plain if not _others(line) else Reference.likely
    return Reference.likely if LEFT.search(line) and KEPT.search(line) and not _others(line) else Reference.none


def _is_set_apart(text: str) -> bool:
    """Whether dots lead the text or brackets surround it."""
    return bool(BRACKETED.fullmatch(text.strip()) or LED_BY_DOTS.match(text))


def _says_kept(text: str) -> bool:
    """Whether the text names what is left out, or says that something stays."""
    return any(pattern.search(text) for pattern in (LEFT, KEPT, ASKED_FOR, ELSEWHERE))


def _others(text: str) -> int:
    """How many words speak of something else."""
    rest = ELSEWHERE.sub(" ", KEPT.sub(" ", LEFT.sub(" ", text)))
    return sum(not FILLER.fullmatch(word) for word in re.findall(r"[^\W\d_]+(?:[-_'][^\W\d_]+)*", rest))


def _parses(line: str) -> bool:
    """Whether the line is Python."""
    try:
        with without_warnings():
            ast.parse(line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
