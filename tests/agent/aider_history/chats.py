"""Aider chat histories as aider writes them, piece by piece."""

from __future__ import annotations

from hypothesis import strategies as st

STARTED = "2025-03-01 21:04:10"
TOKENS = "Tokens: 3.1k sent, 410 received."
BAR = "Fitting:  50%|█████     | 1/2 [00:00<00:00,  6.35it/s]"


def header(at: str = STARTED) -> str:
    return f"\n# aider chat started at {at}\n\n"


def user(text: str) -> str:
    return "\n" + "".join(f"#### {line}  \n" for line in text.split("\n"))


def reply(text: str) -> str:
    return f"\n{text.strip()}\n\n"


def tool(*lines: str) -> str:
    return "".join(f"> {line}  \n" if line else ">  \n" for line in lines)


def edit(search: str = "a = 1", new: str = "a = 2", file: str = "experiment.py") -> str:
    return f"{file}\n```python\n<<<<<<< SEARCH\n{search}\n=======\n{new}\n>>>>>>> REPLACE\n```"


def edited(text: str = "") -> str:
    """A reply with one block, which aider applied."""
    return reply(f"{text}\n\n{edit()}") + tool(TOKENS, "Applied edit to experiment.py")


def refusal(status: int, message: str, name: str = "BadRequestError") -> str:
    return tool(f"litellm.{name}: SomeException - Error code: {status} - {{'error': {{'message': '{message}'}}}}")


FIRST = """Your goal is to implement the following idea: Wider and Wider.
The proposed experiment is as follows: 1. Double the width.
2. Double it again.
You are given a total of up to 3 runs to complete the necessary experiments.

For reference, the baseline results are as follows:

{baseline}

After you complete each change, we will run the command `python experiment.py --out_dir=run_i'."""


def first(baseline: str = "{'l0': 31.5, 'training_steps': 200}") -> str:
    return user(FIRST.format(baseline=baseline))


_lines = st.text(st.characters(codec="utf-8"), max_size=30)
_pieces = st.one_of(
    st.sampled_from([header(), first(), edited("A plan."), tool(TOKENS), tool("Applied edit to experiment.py")]),
    st.sampled_from(
        [refusal(400, "no"), "```python\n", "```\n", "````\n", "~~~\n", "\n", "\n\n", "  \n", "\r\n", "\r"]
    ),
    st.sampled_from(
        ["> # 1 SEARCH/REPLACE block failed to match!\n", "> quoted\n", "#### Heading\n", "####  \n", ">\n"]
    ),
    st.sampled_from(["# aider chat started at", "> ", "#### ", "<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n"]),
    st.sampled_from(["# Fix any errors below", "Attempt to fix lint errors? y", "Tokens: 9" * 9, "► **ANSWER**"]).map(
        tool
    ),
    st.sampled_from(["Tokens: ..k sent, , received. Cost: $. message, $, session.", "^C", "litellm.Timeout:"]).map(
        tool
    ),
    _lines,
    _lines.map(user),
    _lines.map(reply),
    _lines.map(tool),
)
histories = st.lists(_pieces, max_size=25).map("".join)
"""Texts made from the grammar's pieces, in any order, whole and broken."""
