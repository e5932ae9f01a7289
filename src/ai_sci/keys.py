"""The one place that every text passes before it is recorded, shown or logged: it replaces the value of every key in
the environment by the name of its variable."""

from __future__ import annotations

import binascii
import functools
import math
import os
import re
from typing import Any

_SHORTEST = 8  # a shorter value is no key, and would be found in ordinary text
_SHORTEST_WORD = 16  # of words or of digits alone
# What is found in code and prose as well: `val_loss` and `experiment.py` in SORT_KEY, `placeholder` or `20250101` as
# the key of a server that wants none. With a provider's prefix a word is a key.
_WORD = r"(?:[A-Z]?[a-z]+|[A-Z]+)"
_TEXT = re.compile(rf"(?!(?:gh[a-z]|gsk|hf|pk|sk)_){_WORD}(?:[._/]{_WORD})*|[0-9]+")
# Words of a variable's name: *_KEY, *_TOKEN, *_SECRET, *_PASSWORD, and all others in which litellm looks for a key.
_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CRED", "JWT")
_WORDS = {"AUTH", "DSN", "HEADERS", "LICENSE", "PASS", "PAT", "PWD", "WEBHOOK"}
# Last words of a name that say it is no key.
_NO_KEY = {"COUNT", "DIR", "ENDPOINT", "FILE", "HOST", "METHOD", "NAME", "PATH", "SOCK", "TYPE", "URI", "URL"}
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"  # byte order mark and characters without width, as copied from a page
_NAMED = {  # characters with a name of their own, in HTML or after a backslash
    **{"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"},
    **{char: rf"\\+{name}" for char, name in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)},
}


def bare_key(value: str) -> str:
    """A key without what surrounds it by mistake: white space, line ends, a byte order mark, and one pair of quotes
    (Docker's `--env-file` keeps them)."""
    value = _stripped(value)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = _stripped(value[1:-1])
    return value


def _stripped(value: str) -> str:
    while (shorter := value.strip().strip(_INVISIBLE)) != value:
        value = shorter
    return value


@functools.lru_cache(maxsize=1024)
def is_key_name(name: str) -> bool:
    """Whether a variable of this name holds a key, a token, a password or the like."""
    words = [word for part in name.upper().split("_") if (word := part.rstrip("0123456789"))]
    if name == "PWD" or not any(word.removesuffix("S").endswith(_ENDINGS) or word in _WORDS for word in words):
        return False
    return words[-1] not in _NO_KEY or "WEBHOOK" in words  # the address of a web hook is its secret


def mask_keys(text: str) -> str:
    """The text with every key in the environment replaced by its variable's name, however the key is spelled in it:
    escaped as in JSON, a repr, a URL or HTML, or in base64."""
    return _masked(text, _keys())


def key_in(text: str) -> str | None:
    """The variable whose key the text holds, if any."""
    return next((key.name for key in _keys() if key.may_be_in(text) and key.pattern.search(text)), None)


def mask_keys_in(value: Any) -> Any:
    """The same for all texts in a JSON value."""
    return _masked(value, _keys())


def _masked(value: Any, keys: list[_Key]) -> Any:
    if isinstance(value, str):
        for key in keys:
            if key.may_be_in(value):
                value = key.pattern.sub(lambda _, name=key.name: name, value)
    elif isinstance(value, dict):
        return {_masked(name, keys): _masked(one, keys) for name, one in value.items()}
    elif isinstance(value, (list, tuple)):
        return type(value)(_masked(one, keys) for one in value)
    return value


def fill_in_keys(text: str) -> str:
    """The inverse of `mask_keys`, for an address that was recorded and is used again."""
    values = {key.name: key.value for key in _keys()}
    names = sorted(values, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, names)), lambda found: values[found[0]], text) if names else text


class KeyMask:
    """`mask_keys` for a text that comes in pieces: holds back an end that may be the beginning of a key."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown so far."""
        text = mask_keys(self._held + piece)
        shown = len(text) - max((_begun(text, key.value) for key in _keys()), default=0)
        self._held = text[shown:]
        return text[:shown]

    def end(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, key: str) -> int:
    """How many characters at the end of the text are the beginning of the key."""
    lengths = range(min(len(text), len(key) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(key[:length])), 0)


class _Key:
    """`signs`: strings of which each spelling of the key contains one; a search for them is far cheaper."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value
        # Letters and digits are spelled alike everywhere but in base64.
        longest = max(re.findall(r"[A-Za-z0-9]+", value), key=len, default="")
        self.signs = (longest, *_in_base64(value))

    def may_be_in(self, text: str) -> bool:
        return any(sign in text for sign in self.signs)

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        runs = re.findall(r"\s+|\S+", self.value)
        spelled = "".join(_spelled_white(run) if run.isspace() else "".join(map(_spelled, run)) for run in runs)
        return re.compile("|".join([spelled, *map(re.escape, self.signs[1:])]))


_last: tuple[dict[Any, Any], list[_Key]] = ({}, [])  # an environment, and the keys in it


def _keys() -> list[_Key]:
    """The keys now in the environment, the longest first, since one may be a part of another."""
    global _last
    # Asked for every line of output. Reading os.environ decodes each variable; comparing what it holds costs nothing.
    data: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined]
    if _last[0] != data:
        _last = (dict(data), _find_keys())
    return _last[1]


def _find_keys() -> list[_Key]:
    found: list[_Key] = []
    for name in list(os.environ):
        if (value := os.environ.get(name)) and (is_key_name(name) or "@" in value):
            found += _in_variable(name, value)
    return sorted(found, key=lambda key: (-len(key.value), key.name))


@functools.lru_cache(maxsize=256)
def _in_variable(name: str, value: str) -> tuple[_Key, ...]:
    if not is_key_name(name):  # a proxy or a database, say
        from urllib.parse import unquote  # costs 10 ms, as do html and base64

        found = re.findall(r"://[^/\s:@]*:([^/\s@]+)@", value)
        return tuple(_Key(name, one) for one in {*found, *map(unquote, found)} if _can_be_key(one))
    value = bare_key(value)
    return (_Key(name, value),) if _can_be_key(value) and not _refers(value) else ()


def _can_be_key(value: str) -> bool:
    """Whether this is long enough, and not what ordinary text holds as well."""
    shortest = _SHORTEST_WORD if _TEXT.fullmatch(value) else _SHORTEST
    return len(value) >= shortest and len(set(value)) > 1  # `xxxxxxxx`, `========`


def _refers(value: str) -> bool:
    """Whether this says where the key is: an existing path, or the name of another variable."""
    if value.isidentifier() and value.isupper() and is_key_name(value):
        return True
    return value.startswith(("/", "~")) and os.path.exists(os.path.expanduser(value))


def _in_base64(value: str) -> set[str]:
    """What base64 makes of the key, whatever stands before and after it, as in `Basic user:key`."""
    data = value.encode("utf-8", "surrogateescape")
    forms: set[str] = set()
    for before in range(3):
        start, end = math.ceil(before * 8 / 6), (before + len(data)) * 8 // 6
        form = binascii.b2a_base64(bytes(before) + data).decode()[start:end]
        forms |= {form, form.replace("+", "-").replace("/", "_")}
    return forms


def _spelled_white(run: str) -> str:
    """White space is often collapsed: an error is one line."""
    return rf"(?:\s|\\+[fnrtv]|\+|%20|&nbsp;|{'|'.join(map(_spelled, sorted(set(run))))})+"


def _spelled(char: str) -> str:
    """A regular expression for the ways in which a character of a key may be written."""
    if char.isascii() and char.isalnum():
        return char
    in_utf8, in_utf16 = char.encode("utf-8", "surrogateescape"), char.encode("utf-16-be", "surrogatepass")
    escapes = [
        "".join(f"%(?:25)*{byte:02x}" for byte in in_utf8),
        "".join(rf"\\+x{byte:02x}" for byte in in_utf8),
        "".join(rf"\\+u{in_utf16[at : at + 2].hex()}" for at in range(0, len(in_utf16), 2)),
        rf"\\+x{ord(char):02x}",
        rf"\\+U{ord(char):08x}",
        f"&#0*{ord(char)};",
        f"&#x0*{ord(char):x};",
    ]
    if char in _NAMED:
        escapes.append(_NAMED[char])
    literal = r"\\+" if char == "\\" else rf"\\*{re.escape(char)}"
    as_latin1 = re.escape(in_utf8.decode("latin-1"))
    unknown = "" if char.isascii() else "|[?\ufffd]"
    return f"(?:{literal}|{as_latin1}|(?i:{'|'.join(escapes)}){unknown})"
