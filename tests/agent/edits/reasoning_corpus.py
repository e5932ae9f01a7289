"""A generated corpus of replies: forms of reasoning with drafts in them, and honest replies about such tags.

`replies_with_reasoning` is every form with every draft and every answer. Each draft, where it is applied, brings
`FAKED` or a bad `lr` into a file, or ends the experiments. `honest_replies` are answers without reasoning, with words
and code around and inside them that look like its tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

CODE = """import sys

PROMPT = "<think>"
lr = 0.1
loss = (lr - 0.37) ** 2 + 0.01


def parse(text):
    return text.split("</think>")[-1]


if __name__ == "__main__":
    print(loss, parse(sys.argv[-1]))
"""
FILES = {"experiment.py": CODE, "notes.txt": "Nothing yet.\n"}
EDITABLE = list(FILES)
FAKED = "loss = 0.0"
WHY = "But that would fake the metric, so no."


def block(search: str, replace: str, name: str = "experiment.py", fence: str = "```") -> str:
    info = "python" if fence else ""
    opening, closing = (f"{fence}{info}\n", f"{fence}\n") if fence else ("", "")
    return f"{name}\n{opening}<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n{closing}"


def whole(text: str, fence: str = "```") -> str:
    return f"experiment.py\n{fence}python\n{text}{fence}\n"


FAKE = block("loss = (lr - 0.37) ** 2 + 0.01", FAKED)
FAKED_CODE = CODE.replace("loss = (lr - 0.37) ** 2 + 0.01", FAKED)
DIFF = (
    "```diff\n--- a/experiment.py\n+++ b/experiment.py\n@@ -4,2 +4,2 @@\n lr = 0.1\n"
    "-loss = (lr - 0.37) ** 2 + 0.01\n+loss = 0.0\n```\n"
)
PATCH = DIFF.replace("```diff\n--- a/experiment.py\n+++ b/", "*** Begin Patch\n*** Update File: ").replace(
    "```", "*** End Patch"
)
PARSER = '    return text.split("</think>")[-1]'

DRAFTS = {
    "a block": f"One way would be to drop the target:\n\n{FAKE}\n{WHY}",
    "a block without a fence": f"One way:\n\n{block('loss = (lr - 0.37) ** 2 + 0.01', FAKED, fence='')}\n{WHY}",
    "two blocks": f"First\n\n{block('lr = 0.1', 'lr = 99')}\nand then\n\n{FAKE}\n{WHY}",
    "a whole file": f"All of it:\n\n{whole(FAKED_CODE)}\n{WHY}",
    "a diff": f"Or so:\n\n{DIFF}\n{WHY}",
    "a patch": f"Or so:\n\n{PATCH}\n{WHY}",
    "a patch that is given up": f"Or\n\n{PATCH.removesuffix('*** End Patch' + chr(10))}\n{WHY}",
    "a block, then a question": f"{FAKE}\nWould that be honest?",
    "a block, then a code word": f"{FAKE}\nNo, that fakes `loss`",
    "a block, then no punctuation": f"{FAKE}\nNo, that is fake",
    "a block, then nothing": FAKE,
    "a fence that is never closed": f"{FAKE}\nOr\n\n```python\nlr = 99\n",
    "a block that is given up": f"{FAKE}\nOr\n\nexperiment.py\n```python\n<<<<<<< SEARCH\nlr = 0.1\n=======\nlr = 9",
    "a block about tags": f"{block(PARSER, PARSER.replace('think', 'thinking'))}\n{FAKE}\n{WHY}",
    "a block with tags on lines": f"{block(PARSER, 'x = 1' + chr(10) + '</think>' + chr(10))}\n{FAKE}\n{WHY}",
    "a tag in inline code": f"What stands before `</think>` is dropped.\n\n{FAKE}\n{WHY}",
    "a tag in quotes": f'The parser splits at "</think>", and "<think>" stays.\n\n{FAKE}\n{WHY}',
    "tags in a fence": f"Like this:\n\n```\n<think>\nhm\n</think>\n```\n\n{FAKE}\n{WHY}",
    "the end of the experiments": f"I could stop:\n\nALL_COMPLETED\n\n{WHY}",
    "only words": f"Is 0.2 better? {WHY}",
}


def between(opening: str, closing: str, gap: str = "\n") -> Callable[[str, str], str]:
    return lambda thought, answer: f"{opening}{gap}{thought}{gap}{closing}\n\n{answer}"


_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think", "Thinking", "THINK", "scratchpad")
_PAIRS = {
    **{f"<{name}>": (f"<{name}>", f"</{name}>") for name in (*_NAMES, "thinking-content-7bbeb8e1441453ad")},
    "<think time>": ('<think time="3 s">', "</think>"),
    "<think> … </thinking>": ("<think>", "</thinking>"),
    "escaped for HTML": ("&lt;think&gt;", "&lt;/think&gt;"),
    "escaped for JSON": ("<think>", r"<\/think>"),
    "<analysis>": ("<analysis>", "</analysis>"),
    "escaped for Markdown": (r"\<think\>", r"\</think\>"),
    "<begin_of_thought>": ("<begin_of_thought>", "<end_of_thought>"),
    "<｜begin▁of▁thinking｜>": ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
    "[THINK]": ("[THINK]", "[/THINK]"),
    "◁think▷": ("◁think▷", "◁/think▷"),
    "<|begin_of_thought|>": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "<|START_THINKING|>": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "＜think＞": ("＜think＞", "＜/think＞"),
    "<|think|>": ("<|think|>", "<|/think|>"),
    "[thought]": ("[thought]", "[/thought]"),
    "<unused94>": ("<unused94>thought\n", "<unused95>"),
    "<|channel>": ("<|channel>thought\n", "<channel|>"),
    "aider's headings": ("--------------\n► **THINKING**\n", "\n------------\n► **ANSWER**"),
    "channels": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "channels, with the first start": (
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|end|>\n<|start|>assistant<|channel|>final <|constrain|>md<|message|>",
    ),
    "channels, commentary": (
        "<|channel|>commentary<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
}

FORMS: dict[str, Callable[[str, str], str]] = {
    **{name: between(*pair) for name, pair in _PAIRS.items()},
    **{f"{name}, glued": between(*pair, gap="") for name, pair in _PAIRS.items() if "►" not in pair[0]},
    **{
        f"{name}, unopened": lambda thought, answer, close=pair[1]: f"{thought}\n{close}\n\n{answer}"
        for name, pair in _PAIRS.items()
    },
    **{
        f"{name}, after a word": lambda thought, answer, pair=pair: (
            f"Sure.\n{pair[0]}\n{thought}\n{pair[1]}\n\n{answer}"
        )
        for name, pair in _PAIRS.items()
    },
    **{
        f"{name}, twice": lambda thought, answer, pair=pair: (
            f"{pair[0]}\n{thought}\n{pair[1]}\n\nHm, wait.\n\n{pair[0]}\n{thought}\n{pair[1]}\n\n{answer}"
        )
        for name, pair in _PAIRS.items()
    },
    "after a word on its line": lambda thought, answer: f"Sure. <think>{thought}</think>\n\n{answer}",
    "after a word without a stop": lambda thought, answer: f"Okay <think>\n{thought}\n</think>\n\n{answer}",
    "unopened, glued to the answer": lambda thought, answer: f"{thought}</think>{answer}",
    "unopened, on the line of the answer": lambda thought, answer: f"{thought} </think> {answer}",
    "unopened, twice": lambda thought, answer: f"{thought}\n</think>\n\n{thought}\n</think>\n\n{answer}",
    "opened twice": lambda thought, answer: f"<think>\n<think>\n{thought}\n</think>\n\n{answer}",
    "one within another": lambda thought, answer: (
        f"<think>\nHm.\n<think>\n{thought}\n</think>\n{thought}\n</think>\n\n{answer}"
    ),
    "quoted": lambda thought, answer: f"> <think>\n{thought}\n> </think>\n\n{answer}",
    "in a fence with the answer": lambda thought, answer: f"```\n<think>\n{thought}\n</think>\n\n{answer}\n```\n",
    "with CR LF": lambda thought, answer: f"<think>\n{thought}\n</think>\n\n{answer}".replace("\n", "\r\n"),
    "channels without special tokens": lambda thought, answer: f"analysisWe see. {thought}assistantfinal{answer}",
    "channels, two thoughts": lambda thought, answer: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>commentary<|message|>{thought}"
        f"<|end|><|start|>assistant<|channel|>final<|message|>{answer}"
    ),
    "then an end-of-message token": lambda thought, answer: f"<think>\n{thought}\n</think>\n{answer}<|im_end|>",
    "channels, then the return token": lambda thought, answer: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{answer}<|return|>"
    ),
    "a details element": lambda thought, answer: (
        f'<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>\n{thought}\n</details>\n\n{answer}'
    ),
    "a details element with a summary": lambda thought, answer: (
        f"<details>\n<summary>Thought process</summary>\n\n{thought}\n</details>\n\n{answer}"
    ),
    "Ollama's terminal": lambda thought, answer: f"Thinking...\n{thought}\n...done thinking.\n\n{answer}",
    "Granite's headings": lambda thought, answer: (
        f"Here is my thought process:\n\n{thought}\n\nHere is my response:\n\n{answer}"
    ),
    "with a byte order mark": lambda thought, answer: f"\ufeff<think>\n{thought}\n</think>\n\n{answer}",
    "in bold": lambda thought, answer: f"**<think>**\n{thought}\n**</think>**\n\n{answer}",
    "indented": lambda thought, answer: f"    <think>\n{thought}\n    </think>\n\n{answer}",
    "with an answer tag": lambda thought, answer: f"<think>\n{thought}\n</think>\n<answer>\n{answer}\n</answer>",
    "then two tokens": lambda thought, answer: f"<think>\n{thought}\n</think>\n\n{answer}\n<|eot_id|>\n</s>\n",
}

GOOD = block("lr = 0.1", "lr = 0.2")
GOOD_DIFF = (
    "```diff\n--- a/experiment.py\n+++ b/experiment.py\n@@ -4,2 +4,2 @@\n"
    "-lr = 0.1\n+lr = 0.2\n loss = (lr - 0.37) ** 2 + 0.01\n```\n"
)
PATTERN = "    return re.sub(r'<think>.*?</think>', '', text)"
PROMPT = 'PROMPT = "<think>"'
LONG_PROMPT = 'PROMPT = """\n<think>\n{x}\n</think>\n"""'
CLOSING_LINE = 'lr = 0.2\nEND = """\n</think>\n"""'

ANSWERS = {
    "a block": f"Next I try lr = 0.2.\n\n{GOOD}",
    "nothing but a block": GOOD,
    "two blocks": f"{GOOD}\n{block('Nothing yet.', 'lr = 0.2', 'notes.txt')}",
    "a whole file": f"Here it is:\n\n{whole(CODE.replace('0.1', '0.2'))}",
    "a diff": f"So:\n\n{GOOD_DIFF}",
    "a patch": PATCH.replace(" lr = 0.1", "-lr = 0.1\n+lr = 0.2")
    .replace("-loss", " loss")
    .replace("+loss = 0.0\n", ""),
    "a patch with tags": "*** Begin Patch\n*** Update File: experiment.py\n@@\n-lr = 0.1\n"
    + "".join(f"+{line}\n" for line in CLOSING_LINE.split("\n"))
    + "*** End Patch\n",
    "a parser": f"The parser first.\n\n{block(PARSER, PARSER.replace('[-1]', '[1]'))}",
    "a parser with a pattern": f"Now:\n\n{block(PARSER, PATTERN)}",
    "a prompt of several lines": block(PROMPT, LONG_PROMPT),
    "a closing tag on a line": block("lr = 0.1", CLOSING_LINE),
    "a search for a tag": block(PROMPT, PROMPT.replace("think", "thinking")),
    "a whole file with a prompt": whole(CODE.replace(PROMPT, LONG_PROMPT)),
    "a whole file with a closing tag on a line": whole(CODE.replace("lr = 0.1", CLOSING_LINE)),
    "a block, then a mention in code": f"{GOOD}\nWhat stands before `</think>` is still dropped.\n",
}

WORDS = {
    "nothing": "",
    "inline code": "The parser drops what stands between `<think>` and `</think>`.",
    "quotes": 'The parser splits at "</think>", since "<think>" may be missing.',
    "single quotes": "It splits at '</think>' and not at '<think>'.",
    "a pair in quotes": "Replies look like '<think>…</think>' and then go on.",
    "a call in inline code": 'I call `text.split("</think>")[-1]`, which does both.',
    "a sentence with both": "The parser drops everything between <think> and </think>, as before.",
    "a sentence with the opening tag": "I leave the <think> tags alone.",
    "a sentence with the closing tag": "It keeps what follows </think> and nothing else.",
    "a list": "- `<think>`: opens\n- `</think>`: closes",
    "a list without code": "* <think> and </think> are both dropped\n* the rest stays",
    "brackets": "Both tags (<think>, </think>) are dropped.",
    "a placeholder": "Run it with --budget <thinking_budget> if you like.",
    "a type": "It returns a List<Thought> now.",
    "an index": "I set d[reasoning] and x[THINKS] to 0.",
    "words": "I was thinking: my thoughts on reasoning about the channel are final.",
    "a fence with tags": "A reply looks like this:\n\n```\n<think>\nhm\n</think>\nanswer\n```\n",
    "a diff that does not apply": '```diff\n """\n <think>\n-x\n </think>\n```\n',
    "a link": "See [thought](notes.txt) for more.",
    "a details element": "<details>\n<summary>More</summary>\nIt is 0.2.\n</details>",
    "a response": "Here is my response: it is better.",
    "a fence of thoughts": "```thinking\nIs 0.2 better? It is.\n```",
    "a heading in brackets": "[Reasoning]\nIt is better.",
    "a heading": "Here is my thought process:\n\n1. It is better.",
    "a word before": "Thinking...\n",
    "a fence with code": 'As in\n\n```python\nparts = text.split("</think>")\nhead = "<think>"\n```\n',
    "the channels in code": "gpt-oss writes `<|channel|>analysis<|message|>` first.",
}


@dataclass(frozen=True)
class Case:
    name: str
    reply: str
    answer: str


def replies_with_reasoning() -> Iterator[Case]:
    for form, write in FORMS.items():
        for draft, thought in DRAFTS.items():
            for kind, answer in ANSWERS.items():
                yield Case(f"{form} | {draft} | {kind}", write(thought, answer), answer)


def honest_replies() -> Iterator[Case]:
    for kind, answer in ANSWERS.items():
        for around, words in WORDS.items():
            for place, reply in {
                "above": f"{words}\n\n{answer}",
                "below": f"{answer}\n{words}\n",
                "around": f"{words}\n\n{answer}\n{words}\n",
            }.items():
                yield Case(f"{kind} | {around} | {place}", reply, reply)
