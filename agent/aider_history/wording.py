"""Numbers, lists and quotations in the words of a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_MOST = 6  # terms that are listed one by one


def numbers(of: Sequence[int], noun: str = "Turn") -> str:
    """`Turn 2`, `Turns 2 to 10`, `Turns 2, 4 and 5`, `16 of turns 30 to 52`."""
    if len(of) == 1:
        return f"{noun} {of[0]}"
    if len(of) > 2 and list(of) == list(range(of[0], of[-1] + 1)):
        return f"{noun}s {of[0]} to {of[-1]}"
    if len(of) <= _MOST:
        return f"{noun}s {listed(list(map(str, of)))}"
    count = word(len(of))
    return f"{count.capitalize() if noun[0].isupper() else count} of {noun.lower()}s {of[0]} to {of[-1]}"


def summands(of: Sequence[int]) -> str:
    """`8 + 2`; `1 to 19 each` for many."""
    if len(of) <= _MOST:
        return " + ".join(map(str, of))
    return f"{min(of)} to {max(of)} each" if min(of) < max(of) else f"{of[0]} each"


def some(words: Sequence[str], what: str) -> str:
    """All of the words, or the first four and how many `what` there are besides."""
    if len(words) <= _MOST:
        return listed(words, "")
    return f"{', '.join(words[:4])} and {word(len(words) - 4)} more {what}"


def listed(words: Sequence[str], last: str = " and ") -> str:
    """`a, b and c`."""
    return last.join(filter(None, [", ".join(words[:-1]), words[-1]])) if last else ", ".join(words)


def word(number: int) -> str:
    """The number as a word, up to twelve."""
    return _WORDS[number] if number < len(_WORDS) else str(number)


def times(number: int) -> str:
    """`once`, `twice`, `three times`."""
    return {1: "once", 2: "twice"}.get(number, f"{word(number)} times")


def counted(number: int, noun: str) -> str:
    """`no turn`, `one turn`, `two turns`."""
    return f"{word(number)} {noun}{'s' if number > 1 else ''}"


def shortened(text: str, most: int) -> str:
    """The text on one line, at most `most` characters of it."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
