"""A conversation that nears the model's window is rebuilt by rule: seen by servers that refuse what is too long."""

from __future__ import annotations

import pytest

from ai_sci.agent.journal.conversation import prompt_hash, wire_messages
from ai_sci.agent.journal.events import ConversationRebuilt, Replied
from ai_sci.agent.journal.journal import read_journal
from tests.end_to_end.command import ai_sci, shown
from tests.end_to_end.templates import NOTES, PLOTS, block, make_template, write_script
from tests.servers.answers import tokens
from tests.servers.loopback import Recorded
from tests.servers.miscounting import CuttingServer
from tests.servers.openai_strict import StrictServer, prompt_text

THINKING = "I weigh one thing against another. " * 60  # 500 tokens
REPLIES = [
    f"The plan: longer training in steps of ten.\n{THINKING}\n" + block("STEPS = 10", "STEPS = 20"),
    f"Twenty helped, now thirty. {THINKING}\n" + block("STEPS = 20", "STEPS = 30\nraise RuntimeError('boom')"),
    f"I repair it. {THINKING}\n" + block("STEPS = 30\nraise RuntimeError('boom')", "STEPS = 30"),
    f"And slower. {THINKING}\n" + block("RATE = 0.1", "RATE = 0.05"),
    f"{THINKING}\nALL_COMPLETED\n",
    PLOTS,
    NOTES,
]

WORDS = {
    "OpenAI": "This model's maximum context length is {window} tokens. However, your messages resulted in {n} tokens.",
    "llama.cpp": "request ({n} tokens) exceeds the available context size ({window} tokens), try increasing it",
    "Anthropic": "prompt is too long: {n} tokens > {window} maximum",
    "no number": "the prompt is longer than the model's context window",
}


class SmallServer(StrictServer):
    """Refuses a request of more tokens than its window holds, in the words given."""

    def __init__(self, replies: list[str], window: int, words: str = "") -> None:
        super().__init__(replies)
        self.window, self.words = window, words or WORDS["OpenAI"]
        self.too_long: list[Recorded] = []

    def refuse(self, request: Recorded) -> tuple[int, str] | None:
        problem = super().refuse(request)
        count = tokens(prompt_text(request))
        if problem or count <= self.window:
            return problem
        self.too_long.append(request)
        return 400, self.words.format(window=self.window, n=count)


def run(tmp_path, server, *args):
    template = make_template(tmp_path / "template")
    return ai_sci(
        *("run", "--template", template, "--idea", "more_steps", "--session", "s"),
        *("--model", "openai/strict-model", "--api-base", server.url, *args),
        cwd=tmp_path,
        AI_SCI_RETRY_WAIT="0.02",
    )


def rebuilds(session) -> list[ConversationRebuilt]:
    return [
        entry.event for entry in read_journal(session / "journal.jsonl") if isinstance(entry.event, ConversationRebuilt)
    ]


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_what_a_server_finds_too_long_is_rebuilt_and_the_session_completes(tmp_path, words):
    with SmallServer(REPLIES, 2600, words) as server:
        done = run(tmp_path, server)
    assert done.code == 0, done.err
    state = shown(done.session)
    assert state["status"] == "completed"
    assert [one["status"] for one in state["runs"]] == ["ok", "ok", "ok"]
    assert len(server.too_long) == 1, "one refusal is enough to know the window"
    assert server.bad_requests == server.too_long
    if "{window}" in words:
        assert rebuilds(done.session)[0].learned_window == 2600


def test_with_a_known_window_no_request_is_ever_too_long(tmp_path):
    with SmallServer(REPLIES, 2900) as server:
        done = run(tmp_path, server, "--context-window", "2900")
    assert done.code == 0, done.err
    assert server.too_long == []
    assert rebuilds(done.session)


def test_a_rebuilt_request_holds_task_plan_table_files_and_where_the_session_stands(tmp_path):
    with SmallServer(REPLIES, 2900) as server:
        run(tmp_path, server, "--context-window", "2900")
    requests = [request.messages for request in server.requests]
    first = requests[0][0]["content"].split("# Code")[0]
    rebuilt = next(messages for messages in requests[1:] if len(messages) == 1)
    text = rebuilt[0]["content"]
    assert text.startswith(first), "the task is repeated byte for byte"
    assert "The plan: longer training in steps of ten." in text
    assert "run 0 (baseline): loss" in text
    assert "run 1 (accepted)" in text
    assert "<<<<<<< SEARCH" not in text.split("# Files as they are now")[1], "no edit stands among the files"
    assert "STEPS = 20" in text or "STEPS = 30" in text
    # Between rebuilds every request begins with the one before it.
    previous: list = []
    for messages in requests:
        if len(messages) > 1:
            assert messages[: len(previous)] == previous
        previous = messages


def test_the_journal_gives_every_request_again(tmp_path):
    with SmallServer(REPLIES, 2900) as server:
        done = run(tmp_path, server, "--context-window", "2900")
    events = [entry.event for entry in read_journal(done.session / "journal.jsonl")]
    sent = [request.messages for request in server.requests if request.status == 200]
    turns = [index for index, event in enumerate(events) if isinstance(event, Replied)]
    assert len(turns) == len(sent)
    for index, messages in zip(turns, sent):
        again = wire_messages(events[:index])
        assert [{"role": message.role, "content": message.content} for message in again] == messages
        reply = events[index]
        assert isinstance(reply, Replied) and reply.prompt_hash == prompt_hash(again)


def test_a_window_too_small_for_the_task_ends_the_session_as_resumable(tmp_path):
    with SmallServer(REPLIES, 300) as server:
        done = run(tmp_path, server)
        assert done.code == 3
        state = shown(done.session)
        assert state["status"] == "model_unavailable"
        assert "larger window" in state["reason"]
        assert len(server.requests) == 1
        server.window = 100_000
        done = ai_sci("resume", done.session, cwd=tmp_path)
        assert done.code == 0, done.err


def test_a_refused_reply_is_shown_again_when_the_conversation_is_cut_there(tmp_path):
    refused = f"{THINKING * 4}\n" + block("NO SUCH LINE = 1", "STEPS = 21")
    with SmallServer([refused, *REPLIES], 2600) as server:
        done = run(tmp_path, server)
    assert done.code == 0, done.err
    text = next(request for request in server.requests[1:] if len(request.messages) == 1).messages[0]["content"]
    assert "NO SUCH LINE = 1" in text
    assert text.count("I weigh one thing") < 200, "of the prose only the beginning"


def test_a_template_can_name_the_window(tmp_path):
    template = make_template(tmp_path / "template", "[model]\ncontext_window = 1500\n")
    model = write_script(tmp_path / "script", REPLIES)
    done = ai_sci(
        *("run", "--template", template, "--idea", "more_steps", "--session", "s", "--model", model), cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert "model's window of 1500" in rebuilds(done.session)[0].reason


def test_a_window_learned_from_a_silent_cut_is_kept_to_and_replays(tmp_path):
    replies = [f"{THINKING * 3}\n{reply}" for reply in REPLIES]
    with CuttingServer(replies) as server:
        done = run(tmp_path, server)
    assert done.code == 0, done.err
    assert f"read only about {server.window} tokens" in done.err
    replies = [
        entry.event for entry in read_journal(done.session / "journal.jsonl") if isinstance(entry.event, Replied)
    ]
    assert server.window in [reply.cut_to for reply in replies]
    assert rebuilds(done.session)[0].reason.endswith(f"the model's window of {server.window}")
    again = ai_sci("replay", done.session, cwd=tmp_path)
    assert again.code == 0, again.err
    assert f"{len(replies)} of {len(replies)} prompts as recorded" in again.err
