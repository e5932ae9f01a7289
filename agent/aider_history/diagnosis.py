"""What an aider history contains, where it failed and why: one paragraph, with a rule for each statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from ai_sci.agent.aider_history.pieces import Kind
from ai_sci.agent.aider_history.turns import ApiError, HistorySession, HistoryTurn, TurnKind
from ai_sci.agent.edits import all_completed

_ALTERNATION = re.compile(
    r"successive (user|assistant)|roles? must alternate|alternate user/assistant|interleave", re.I
)
# What a driver, such as AI-Scientist's, tells the model about a run.
_REPORT = re.compile(r"Run (?:\d+ )?(failed|completed|timed out)\b", re.I)
_ANNOUNCED = re.compile(r"--out_dir|total of up to \d+ runs")
_COMMAND = re.compile(r"(?:/run|!)\s*(.+)")
_PROGRESS = re.compile(r"\d%\|")
_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

# Signs of an invalid baseline in the results that a first message quotes.
_UNTRAINED = re.compile(
    r"[\"'](training_steps)[\"']:\s*(0(?:\.0*)?)\s*[,}]|[\"'](final_loss)[\"']:\s*(None|null)\s*[,}]"
)
_DEAD = re.compile(r"[\"'](l0|l2_norm_out)[\"']:\s*(0(?:\.0*)?)\s*[,}]")


def diagnose(session: HistorySession, of: int = 1) -> str:
    """A paragraph on the session; `of` is how many sessions the file holds."""
    if not session.turns:
        return f"{_name(session, of)} holds no turn: aider was started, and nothing was asked."
    findings = [sentence for rule in RULES if (sentence := rule(session))]
    return " ".join([_holdings(session, of), *(findings or ["Nothing in it looks like a failure."])])


def _name(session: HistorySession, of: int) -> str:
    name = "The history" if of == 1 else f"Session {session.number} of {of}"
    return f"{name}, begun {session.started}," if session.started.strip("?") else name


def _holdings(session: HistorySession, of: int) -> str:
    turns, replies = len(session.turns), len(session.replies)
    parts = [f"{_name(session, of)} holds {_count(turns, 'turn')}, {_answered(turns, replies)}"]
    blocks = [turn.blocks for turn in session.turns if turn.blocks]
    if blocks:
        each = f" ({' + '.join(map(str, blocks))})" if len(blocks) > 1 else ""
        parts.append(f"with {_count(sum(blocks), 'SEARCH/REPLACE block')}{each}")
    applied = list(dict.fromkeys(name for turn in session.turns for name in turn.applied))
    if applied:
        parts.append(f"and aider says that it edited {', '.join(applied)}")
    elif blocks:
        parts.append("and aider does not say that it applied any")
    return ", ".join(parts) + "."


def _answered(turns: int, replies: int) -> str:
    if replies == turns:
        return "answered" if turns == 1 else f"{'both' if turns == 2 else 'all'} answered"
    if not replies:
        return "unanswered" if turns == 1 else "none of them answered"
    return f"{_word(replies)} of them answered"


# -- rules: each returns a statement about the session, or "" ---------------------------------------------------------


def refused_requests(session: HistorySession) -> str:
    """Requests that the API refused; consecutive ones with the same error are merged."""
    failed = [turn for turn in session.turns if turn.has_failed and turn.error]
    sentences = []
    for error, turns in _in_a_row(failed):
        why = f"the same {_error(error)} came {_times(len(turns))}" if len(turns) > 1 else _error(error)
        sentence = f"{_turns(turns)} got no reply: {why} (“{_shortened(error.message, 220)}”)."
        if _ALTERNATION.search(error.message):
            sentence = f"{_two_in_a_row(session, turns[0])} {sentence}"
        sentences.append(sentence)
    return " ".join(sentences)


def _two_in_a_row(session: HistorySession, first: HistoryTurn) -> str:
    """Why roles did not alternate, judging by the turn before."""
    if first.number == 1:
        return "Two messages of one side in a row reached the API in the first request."
    told = f"Two messages of one side in a row reached the API after turn {first.number - 1}."
    if session.turns[first.number - 2].has_failed:
        return f"{told} That turn has no reply, so its message was followed by the next one."
    return (
        f"{told} That turn has its reply, so they most likely came from what aider puts in front of the chat: its "
        "summary of finished turns is a user message, and so is the one on files that follows it."
    )


def silent_turns(session: HistorySession) -> str:
    """Turns with neither a reply nor an error to explain that."""
    silent = [turn for turn in session.turns if turn.has_failed and not turn.error]
    sentences = []
    for turn in silent:
        lines = " ".join(turn.tools)
        if "Empty response received" in lines:
            why = "the model's answer was empty"
        elif "^C" in lines:
            why = "it was interrupted with Ctrl-C"
        elif turn.user.lstrip().startswith(("/", "!")):
            continue  # a command to aider gets no reply
        elif "has hit a token limit" in lines:
            continue  # has its own rule
        elif turn is session.turns[-1] and not turn.tools:
            why = "the history ends on it"
        else:
            why = "nothing says why"
        sentences.append(f"Turn {turn.number} has no reply: {why}.")
    return " ".join(sentences)


def token_limits(session: HistorySession) -> str:
    """Turns at which the model's token limit was reached."""
    turns = [turn for turn in session.turns if any("has hit a token limit" in line for line in turn.tools)]
    return f"At {_turns(turns, 'turn')} the model's token limit was reached." if turns else ""


def refused_edits(session: HistorySession) -> str:
    """Turns whose edits aider refused, and when edits were applied again."""
    turns = [turn for turn in session.turns if turn.refused]
    if not turns:
        return ""
    after = next((turn for turn in session.turns[turns[-1].number :] if turn.applied), None)
    led = f"edits were applied again at turn {after.number}" if after else "no edit was applied after that"
    return f"aider refused edits of {_turns(turns, 'turn')}, and {led}."


def lint_errors(session: HistorySession) -> str:
    """The linter's last errors, and whether a later edit fixed them."""
    found = [turn for turn in session.turns if turn.lint]
    if not found:
        return ""
    last = found[-1]
    errors = _list([_shortened(error, 80) for error in last.lint[:4]])
    more = f" and {_word(len(last.lint) - 4)} more" if len(last.lint) > 4 else ""
    told = f"After the edits of turn {last.number} the linter found {errors}{more}"
    repaired = next((turn for turn in session.turns[last.number :] if turn.applied), None)
    if repaired:
        return f"{told}; after those of turn {repaired.number} it reports none."
    return f"{told}; no later edit repaired that."


def unchanged_code(session: HistorySession) -> str:
    """Runs of the same command on unchanged code, which could show nothing new."""
    previous: dict[str, HistoryTurn] = {}
    repeats: list[HistoryTurn] = []
    for turn in session.turns:
        command = _executed(turn)
        if command and command in previous:
            repeats.append(turn)
        elif command:
            previous[command] = turn
        if turn.applied:
            previous = {}
    if not repeats:
        return ""
    return (
        f"{_turns(repeats)} report{'s' if len(repeats) == 1 else ''} {_word(len(repeats))} more "
        f"{'run' if len(repeats) == 1 else 'runs'} of code that nothing had changed since the run before."
    )


def reports_without_reason(session: HistorySession) -> str:
    """Reports of a failed run that hold only progress bars."""
    failed = [turn for turn in session.turns if (found := _REPORT.match(turn.user)) and found[1].lower() == "failed"]
    empty = [turn for turn in failed if all(map(_PROGRESS.search, _lines_below_first(turn.user)))]
    if not empty:
        return ""
    if len(empty) == len(failed) > 1:
        bars = "they hold progress bars alone"
        return f"None of the {_word(len(failed))} reports of a failed run says why it failed: {bars}."
    return f"The report of a failed run in {_turns(empty, 'turn')} does not say why it failed."


def dead_baseline(session: HistorySession) -> str:
    """A baseline that was never trained or has no active feature."""
    text = session.first_message
    signs = [_sign(found) for found in _UNTRAINED.finditer(text)]
    if any(sign.startswith("training_steps") for sign in signs):
        told = f"The baseline that the first message quotes was never trained ({', '.join(signs)})"
        return f"{told}: there was nothing to compare with."
    signs = [_sign(found) for found in _DEAD.finditer(text)]
    if any(sign.startswith("l0") for sign in signs):
        return (
            f"The baseline that the first message quotes is dead ({', '.join(signs)}): no feature is ever active, as "
            "before any training, so there was nothing to compare with."
        )
    return ""


def ending(session: HistorySession) -> str:
    """How the session ends, unless that is a normal or an already reported end."""
    last = session.turns[-1]
    if last.is_cut:
        inside = " inside a SEARCH/REPLACE block or a code fence" if _is_open(last) else ""
        return f"It breaks off in the reply of turn {last.number}{inside}."
    if last.has_failed or all_completed(last.reply):
        return ""
    if session.ends_on is Kind.text:
        return f"It ends on the reply of turn {last.number}, without the line on tokens that aider writes after each."
    line = _shortened(next((line for line in reversed(last.tools) if line.strip()), ""), 120)
    told = f"It ends on aider's line “{line}” after turn {last.number}"
    if any(map(_executed, session.turns)):
        return f"{told}: its outcome is not recorded."
    if not _ANNOUNCED.search(session.first_message):
        return ""  # the normal end of a chat without a driver
    return (
        f"{told}, and no result of a run is in it: if the experiment was run, it was outside of this chat, and what "
        "ended the session there is not recorded."
    )


RULES: tuple[Callable[[HistorySession], str], ...] = (
    refused_requests,
    silent_turns,
    token_limits,
    refused_edits,
    lint_errors,
    unchanged_code,
    reports_without_reason,
    ending,
    dead_baseline,
)


# -- words ----------------------------------------------------------------------------------------------------------


def _in_a_row(failed: Sequence[HistoryTurn]) -> list[tuple[ApiError, list[HistoryTurn]]]:
    """Consecutive failed turns with the same error."""
    numbered = [(turn.error, turn.number - index, turn) for index, turn in enumerate(failed)]
    runs = groupby(numbered, key=lambda item: (item[0], item[1]))
    return [(error, [turn for _, _, turn in run]) for (error, _), run in runs if error is not None]


def _executed(turn: HistoryTurn) -> str:
    """What this message reports as executed; "" if nothing."""
    if turn.kind is not TurnKind.user:
        return ""
    if _REPORT.match(turn.user):
        return "the experiment"
    found = _COMMAND.match(turn.user)
    return found[1].strip() if found else ""


def _lines_below_first(text: str) -> list[str]:
    return [line for line in text.split("\n")[1:] if line.strip()]


def _is_open(turn: HistoryTurn) -> bool:
    scan = turn.scan
    return bool(scan.fences and scan.fences[-1].close is None)


def _sign(found: re.Match[str]) -> str:
    name, value = [group for group in found.groups() if group is not None]
    return f"{name} = {value}"


def _error(error: ApiError) -> str:
    return f"error {error.status}" if error.status else error.name


def _turns(turns: Sequence[HistoryTurn], noun: str = "Turn") -> str:
    """`Turn 2`, `Turns 2 to 10`, `Turns 2, 4 and 5`."""
    numbers = [turn.number for turn in turns]
    if len(numbers) == 1:
        return f"{noun} {numbers[0]}"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{noun}s {numbers[0]} to {numbers[-1]}"
    return f"{noun}s {_list(list(map(str, numbers)))}"


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _times(number: int) -> str:
    return {2: "twice"}.get(number, f"{_word(number)} times")


def _count(number: int, noun: str) -> str:
    return f"{_word(number)} {noun}{'s' if number != 1 else ''}"


def _shortened(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
