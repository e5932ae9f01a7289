"""What aider's own lines say: tokens, edits, errors, lint reports, questions. Each function reads lines of one turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"([0-9.,]{1,12}[kKM]?)"
_TOKENS = re.compile(
    rf"Tokens: {_NUMBER} sent(?:, {_NUMBER} cache write)?(?:, {_NUMBER} cache hit)?, {_NUMBER} received\."
    r"(?: Cost: \$([0-9.,]{1,12}) (?:message|request), \$([0-9.,]{1,12}) session\.)?"
)
# Until August 2024, above the reply; since then, below it.
_TOKENS_ABOVE = re.compile(rf"{_NUMBER} prompt tokens, {_NUMBER} completion tokens(?:, \$([0-9.,]{{1,12}}) cost)?")

_NAMES = (
    "APIConnectionError|APIError|APIResponseValidationError|APIStatusError|APITimeoutError|AuthenticationError|BadGatewayError|"
    "BadRequestError|BudgetExceededError|ConnectError|ContentPolicyViolationError|ContextWindowExceededError|"
    "InternalServerError|InvalidRequestError|JSONSchemaValidationError|NotFoundError|OpenAIError|"
    "OverloadedError|PermissionDeniedError|RateLimitError|ReadTimeout|RemoteProtocolError|RouterRateLimitError|ServiceUnavailableError|Timeout|"
    "UnprocessableEntityError|UnsupportedParamsError"
)
_LIBRARY = "(?:litellm|openai|anthropic|httpx|httpcore|requests|aiohttp|urllib3|socket)"
_ERROR = re.compile(rf"(?:Unexpected error: )?{_LIBRARY}\.(?:\w+\.)*(\w+)\b:?\s*(.*)|(?:({_NAMES})):\s*(.*)")
_UNEXPECTED = re.compile(r"Unexpected error: (?:(?:[\w.]+\.)?(\w+(?:Error|Exception|Timeout))\b:?\s*)?(.*)")
_ERRNO = re.compile(r"(?:(?:OSError|Connection\w+): (?=\[Errno 1\d\d\]))?(\[Errno -?\d+\].*)")
_AGAIN = re.compile(rf"(?:litellm\.)?(?:{_NAMES}|\w+Exception)\b(?::| -)\s*")  # repeated at a text's start
_STATUS = re.compile(r"Error code: (\d{3})\b|'code': (\d{3})\b|\"code\": ?(\d{3})\b")
_STATUS_OF = {
    "AuthenticationError": 401,
    "BadRequestError": 400,
    "ContextWindowExceededError": 400,
    "InternalServerError": 500,
    "NotFoundError": 404,
    "PermissionDeniedError": 403,
    "RateLimitError": 429,
    "ServiceUnavailableError": 503,
    "Timeout": 408,
}
_MESSAGE = re.compile(r"[\"']message[\"']:\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_RETRY = re.compile(r"Retrying in [\d.]+ seconds")
_DONE = re.compile(
    r"Tokens: |Applied edit to |Did not apply |Commit |# |Don't re-send|Only \d+ reflections|The LLM did not"
)

_APPLIED = re.compile(r"Applied edit to (.+)")
_REFUSED = re.compile(r"# (\d{1,6}) SEARCH/REPLACE blocks? failed to match!")
_OTHERS = re.compile(r"# The other (\d{1,6}) SEARCH/REPLACE blocks? (?:was|were) applied successfully")
_ADDED = re.compile(r"Added .+ to the chat|Add .+\?.*\s(?:y|yes|a|all)\s*$", re.IGNORECASE)

LINT_BEGIN = "# Fix any errors below"
_LINT_QUESTION = re.compile(r"Attempt to fix lint errors\?.* (?:y|yes|a|all)", re.IGNORECASE)
_LINT_ERROR = re.compile(r"([^\s:]+):(\d+):(?:\d+:)? ([EFCW]\d+ .+)")
_LINT_SAYS = re.compile(r"\w*(?:Error|Exception|Warning)\b|error:", re.IGNORECASE)  # in words other than flake8's

_NO_LINTER = re.compile(r"No module named \S*flake8|Error while finding module specification|flake8.* not found")
_TROUBLE = re.compile(
    rf"Unable to |Failed to |fatal: |Traceback |Error[: ]|error: |HTTP error|{LINT_BEGIN}|Only \d+ reflections|"
    r".*\b\w+(?:Error|Exception): "
)

# A question of aider's with its answer, whoever gave it.
QUESTION = re.compile(r".*\? \(Y\)es/\(N\)o.*\[\w*\]:?\s*(?:[\w']*|<blank>)")
# Lines that only aider writes: no code fence of a reply extends past them.
_AIDERS_OWN = re.compile(
    r"(Tokens: \S+ sent|[\d.,]+k? prompt tokens, |Applied edit to |Did not apply edit to |Commit [0-9a-f]{6,}|"
    rf"{_LIBRARY}\.\w+|({_NAMES}): |Unexpected error: |Retrying in |Attempt to fix |Run shell commands?\?|"
    r"Add .*\? \(Y\)|Added .+ to the chat|Allow (creation of new file|edits to file)|Create new file\?|"
    r"The LLM did not conform|# \d+ SEARCH/REPLACE|\^C|Empty response received|Model .* has hit a token limit|"
    r"# Fix any errors below|Only \d+ reflections|Aider v\d|The API provider )"
)


@dataclass(frozen=True)
class TokenReport:
    """aider's line on tokens, with rounded counts; costs in USD, None where aider knows no price."""

    sent: int
    received: int
    cost: float | None
    session_cost: float | None


@dataclass(frozen=True)
class ApiError:
    """A failed request: the error's class, its HTTP status if known, and the server's message."""

    name: str
    status: int | None
    message: str

    @property
    def kind(self) -> tuple[str, int | None, str]:
        """Equal for errors that differ only in numbers and ends, such as when to try again."""
        return self.name, self.status, re.sub(r"\d+", "", self.message)[:100]


@dataclass(frozen=True)
class LintError:
    """An error of the linter, such as `F821 undefined name 'F'`."""

    file: str
    text: str


def is_aiders_own(line: str) -> bool:
    """Whether a tool line (without its marker) is one of aider's messages, not a quotation in a reply."""
    return _AIDERS_OWN.match(line) is not None or QUESTION.fullmatch(line.rstrip()) is not None


def tries_begin(lines: Sequence[str]) -> int:
    """The index from which lines are about the tries of the next request: errors, and tokens as old versions write
    them, above the reply."""
    done = (i for i, line in enumerate(lines) if _DONE.match(line) or QUESTION.fullmatch(line.rstrip()))
    start = max(done, default=-1) + 1
    tries = (i for i in range(start, len(lines)) if _error(lines[i]) or _TOKENS_ABOVE.match(lines[i]))
    return next(tries, len(lines))


def usage_of(lines: Sequence[str]) -> TokenReport | None:
    """The last line on tokens."""
    for line in reversed(lines):
        if found := _TOKENS.match(line):
            return TokenReport(_count(found[1]), _count(found[4]), _price(found[5]), _price(found[6]))
        if found := _TOKENS_ABOVE.match(line):
            return TokenReport(_count(found[1]), _count(found[2]), _price(found[3]), None)
    return None


def errors_of(lines: Sequence[str]) -> list[ApiError]:
    """The errors of the request's tries, in order."""
    return [error for line in lines if (error := _error(line)) is not None]


def _error(line: str) -> ApiError | None:
    if found := _ERROR.match(line):
        name, text = found[1] or found[3], found[2] if found[1] else found[4]
    elif found := _UNEXPECTED.match(line):
        name, text = found[1] or "", found[2]
    elif found := _ERRNO.match(line):
        name, text = "", found[1]
    else:
        return None
    codes, said = _STATUS.search(text), _MESSAGE.search(text)
    status = int(next(filter(None, codes.groups()))) if codes else _STATUS_OF.get(name)
    return ApiError(name, status, said[1][1:-1] if said else _without_repetition(text)[:300].strip())


def _without_repetition(text: str) -> str:
    while found := _AGAIN.match(text):
        text = text[found.end() :]
    return text


def is_next_try(lines: Sequence[str]) -> bool:
    """Whether the request was sent again, and nothing was done with what had come of the reply."""
    done = any(line.strip() for line in lines[: tries_begin(lines)])
    return not done and any(_RETRY.match(line) for line in lines)


def applied_to(lines: Sequence[str]) -> list[str]:
    """The files that aider says it edited, with `/` between folders."""
    return [found[1].replace("\\", "/") for line in lines if (found := _APPLIED.match(line))]


def refused_in(lines: Sequence[str]) -> int:
    """Number of blocks that aider could not apply; one for each report of a malformed reply without a count."""
    counts = [int(found[1]) for line in lines if (found := _REFUSED.match(line))]
    return sum(counts) or sum(line.startswith("The LLM did not conform") for line in lines)


def applied_beside(lines: Sequence[str]) -> int:
    """Number of blocks that aider applied although it refused others of the same reply."""
    return sum(int(found[1]) for line in lines if (found := _OTHERS.match(line)))


def refusal_begin(lines: Sequence[str]) -> int | None:
    """The index at which the report on refused blocks begins."""
    return next((index for index, line in enumerate(lines) if _REFUSED.match(line)), None)


def has_added_files(lines: Sequence[str]) -> bool:
    """Whether files that the reply mentions were added to the chat: aider then asks again, and edits nothing."""
    return any(_ADDED.match(line) for line in lines)


def lint_reflection(lines: Sequence[str]) -> tuple[int, int] | None:
    """Where the linter's report that aider sent to the model begins and ends; None when it sent none."""
    asked = next((index for index, line in enumerate(lines) if _LINT_QUESTION.fullmatch(line.rstrip())), None)
    begin = next((index for index, line in enumerate(lines) if line.startswith(LINT_BEGIN)), None)
    return (begin, asked) if asked is not None and begin is not None and begin < asked else None


def lint_errors_of(lines: Sequence[str]) -> list[LintError]:
    """The linter's errors."""
    found = (_LINT_ERROR.match(line) for line in lines)
    return [LintError(one[1].replace("\\", "/"), one[3].strip()) for one in found if one]


def names_an_error(report: str) -> bool:
    """Whether a linter's report says what is wrong, instead of only marking lines."""
    lines = [line for line in report.split("\n")[1:] if not re.search("[│█]", line) and not _NO_LINTER.search(line)]
    return bool(lint_errors_of(lines)) or any(_LINT_SAYS.search(line) for line in lines)


def hints_at_trouble(lines: Sequence[str]) -> bool:
    """Whether something went wrong that no other function here knows."""
    return any(_TROUBLE.match(line) and not _error(line) for line in lines)


def is_interrupted(lines: Sequence[str]) -> bool:
    """Whether somebody pressed Ctrl-C before the line on tokens, which every whole reply has."""
    for line in lines:
        if _TOKENS.match(line) or _TOKENS_ABOVE.match(line):
            return False
        if line.lstrip().startswith(("^C", "KeyboardInterrupt")):
            return True
    return False


def _count(text: str) -> int:
    """`13k` → 13000. Not a number → 0."""
    scale = {"k": 1_000, "K": 1_000, "M": 1_000_000}.get(text[-1], 1)
    number = _price(text.rstrip("kKM"))
    return round(number * scale) if number is not None else 0


def _price(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", "").rstrip("."))
    except ValueError:
        return None
