"""What a reply without edits holds instead, so that the model is told what was seen and not only what was missed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_sci.agent.edits.reasoning import part_reasoning
from ai_sci.agent.edits.scan import Fence, Scan, name_in_first_line, scan_reply
from ai_sci.agent.edits.unified_diff import DIFF
from ai_sci.agent.edits.whole_file import NOT_A_FILE, OTHER_MARKER, SHELL

MARKS = {
    "tool call": re.compile(
        r"<[|｜]?(?:\w+:)?(?:tool[_▁]?calls?|function_calls?|tool_use|invoke|function|python_tag)(?![a-z])|<(?:function|tool)=|"
        r"\[TOOL_CALLS\]|<\|channel\|>\w+ to=|<\|start\|>assistant to=|"
        r"\"(?:name|function|tool|tool_name|command)\"\s*:\s*\".{0,80}\"(?:arguments|parameters|params|input|args|path)\"\s*:",
        re.IGNORECASE,
    ),
    "markers": re.compile(rf"{OTHER_MARKER.pattern}|^\s*-{{5,}} ?SEARCH\b"),
    "patch": re.compile(r"^\s*\*\*\* ?(?:Add|Update|Delete) File:"),
    "tags": re.compile(
        r"^\s*<(?:edit|file|changes?|write_file|write_to_file|replace|search|patch|diff|antArtifact|boltAction|artifact|code_edit)\b",
        re.IGNORECASE,
    ),
}
QUOTED = NOT_A_FILE | {"text", "txt", "plaintext", "plain"}
DIFF_LINE = re.compile(r"(?:@@.*@@|--- \S+|\+\+\+ \S+|diff --git )")

JSON_LINE = re.compile(r"[\[{]*\s{0,9}\"\w+\"\s*:")  # also of JSON that breaks off
SHELL_LINE = re.compile(r"\$ \w|sed -i|patch -p\d|cat >|tee |git apply")


@dataclass(frozen=True)
class Seen:
    """`what` is a case in prompts/why_no_edit.md, `line` counts from 1, `path` is the file it is about, if any."""

    what: str = ""
    line: int = 0
    path: str = ""


def seen_instead(text: str, editable: Sequence[str]) -> Seen:
    """What a reply that holds no edit seems to give instead of one; `Seen()` for prose."""
    scan = scan_reply(part_reasoning(text).text)
    for what, mark in MARKS.items():
        found = next((index for index, line in enumerate(scan.lines) if mark.search(line[:2000])), None)
        if found is not None:
            return Seen(what, found + 1)
    if _is_json(text):
        return Seen("JSON", 1)
    in_fences = [_seen_in_fence(scan, fence, editable) for fence in scan.fences]
    if any(seen.what for seen in in_fences):
        return min((seen for seen in in_fences if seen.what), key=lambda seen: seen.what == "shell")
    started = next((index for index in scan.free if JSON_LINE.match(scan.lines[index].lstrip())), None)
    if started is not None:
        return Seen("JSON", started + 1)
    loose = next((index for index in scan.free if DIFF_LINE.match(scan.lines[index])), None)
    if loose is not None:
        return Seen("loose diff", loose + 1)
    shell = next((index for index in scan.free if SHELL_LINE.match(scan.lines[index])), None)
    return Seen() if shell is None else Seen("shell", shell + 1)


def _seen_in_fence(scan: Scan, fence: Fence, editable: Sequence[str]) -> Seen:
    """What a code fence gives. Output and logs are only quoted."""
    language = (fence.info.split() or [""])[0].lower()
    body = scan.lines[fence.open + 1 : fence.close]
    line = fence.open + 1
    if language in SHELL:
        return Seen("shell", line)
    if language in DIFF or any(DIFF_LINE.match(row) for row in body):
        return Seen("diff", line)
    if language in ("json", "jsonl", "json5") or _is_json("\n".join(body)):
        return Seen("JSON", line)
    if language in QUOTED or not any(row.strip() for row in body):
        return Seen()
    path = name_in_first_line(scan, fence, editable)
    return Seen("piece", line, path) if path else Seen("fence", line)


def _is_json(text: str) -> bool:
    """Whether the text is a JSON object or array."""
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
