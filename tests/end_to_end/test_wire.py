"""Whole sessions over raw HTTP: a strict server sees not one bad request, whatever goes wrong."""

from __future__ import annotations

import pytest

from tests.end_to_end.command import ai_sci, git_log, shown
from tests.end_to_end.templates import NOTES, PLOTS, block, make_template
from tests.servers import faults
from tests.servers.anthropic_strict import AnthropicServer
from tests.servers.deepseek_strict import DeepSeekServer
from tests.servers.openai_strict import StrictServer

# Replies with everything in them that a session has to get over.
TROUBLED = [
    "I would first like to think about it.",  # no edit
    block("NO SUCH LINE", "x = 1"),  # refused
    "Run 1.\n\n" + block("STEPS = 10", "STEPS = twenty"),  # lint
    block("STEPS = twenty", "STEPS = 20\nraise RuntimeError('boom')"),  # crash
    block("STEPS = 20\nraise RuntimeError('boom')", "STEPS = 20"),  # run 1 accepted
    "Run 2.\n\n" + block("STEPS = 20", "STEPS = 30"),
    "I have seen enough.\n\nALL_COMPLETED\n",
    PLOTS,
    NOTES,
]

# One for each request; None is a good answer.
FAULTS = [
    faults.status(500),
    faults.status(429, headers={"Retry-After": "1"}),
    faults.reasoning_only(),
    faults.cut_stream(),
    None,
    faults.status(503),
    None,
    faults.empty(),
    faults.whitespace(),
    None,
    faults.html(),
    faults.reset(),
    faults.null_content(),
    None,
    faults.no_choices(),
]

SERVERS = [
    (StrictServer, "openai/strict-model", {}),
    (DeepSeekServer, "deepseek/deepseek-reasoner", {"DEEPSEEK_API_KEY": "test"}),
    (AnthropicServer, "anthropic/claude-sonnet-4-5", {"ANTHROPIC_API_KEY": "test"}),
]


def run(tmp_path, server, model: str, *args, **env):
    template = tmp_path / "template"
    if not template.exists():
        make_template(template, toml="[experiment]\nmax_failures = 12\n")
    return ai_sci(
        *("run", "--template", template, "--idea", "more_steps", "--session", "s"),
        *("--model", model, "--api-base", server.url, *args),
        cwd=tmp_path,
        AI_SCI_RETRY_WAIT="0.02",
        **env,
    )


@pytest.mark.parametrize("server_type, model, key", SERVERS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_session_with_everything_in_it_makes_no_bad_request(tmp_path, server_type, model, key):
    with server_type(TROUBLED, FAULTS) as server:
        done = run(tmp_path, server, model, **key)
    assert server.bad_requests == []
    assert done.code == 0, done.err
    assert "\nTraceback" not in done.err  # the experiment's own is indented
    state = shown(done.session)
    assert state["status"] == "completed"
    assert [run["status"] for run in state["runs"]] == ["ok", "ok"]
    assert [attempt["verdict"] for attempt in state["runs"][0]["attempts"]] == ["crashed", "ok"]
    assert state["runs"][0]["metrics"] != state["runs"][1]["metrics"]
    assert state["plots"] == ["plots/loss.svg"]
    assert state["notes"] == "notes.txt"
    assert state["edits"]["refused"] == 1
    assert state["llm"]["calls"] == len(TROUBLED) + 4  # four of the faults are replies without text
    assert server.faults == []
    subjects = git_log(done.session)
    assert any("crashed" in subject for subject in subjects)
    assert sum(subject.startswith(("run 1: ok", "run 2: ok")) for subject in subjects) == 2


def test_an_outage_costs_no_experiment_and_resume_sends_the_same_request(tmp_path):
    """Ten failures in a row: the session stops as resumable, nothing was executed twice, nothing is lost."""
    with StrictServer(TROUBLED[4:], [None, *[faults.status(500)] * 10]) as server:
        server.replies = ["Run 1.\n\n" + block("STEPS = 10", "STEPS = 20"), *TROUBLED[5:]]
        done = run(tmp_path, server, "openai/strict-model")
        assert done.code == 3
        state = shown(done.session)
        assert state["status"] == "model_unavailable"
        assert [run["status"] for run in state["runs"]] == ["ok"]
        while server.faults:  # the rest of the outage
            done = ai_sci("resume", done.session, cwd=tmp_path, AI_SCI_RETRY_WAIT="0.02")
        assert done.code == 0, done.err
        state = shown(done.session)
        bodies = [request.raw for request in server.requests[1:] if request.status == 500]
    assert server.bad_requests == []
    assert len(bodies) == 10 and len(set(bodies)) == 1
    assert state["status"] == "completed"
    full = [attempt for run in state["runs"] for attempt in run["attempts"]]
    assert len(full) == 2


def test_a_fatal_error_ends_the_session_at_once_and_it_can_be_resumed(tmp_path):
    with StrictServer(TROUBLED[5:], [faults.status(401)]) as server:
        done = run(tmp_path, server, "openai/strict-model")
        assert done.code == 3
        assert len(server.requests) == 1
        assert shown(done.session)["status"] == "model_unavailable"
        server.replies = ["Run 1.\n\n" + block("STEPS = 10", "STEPS = 20"), "ALL_COMPLETED", PLOTS, NOTES]
        done = ai_sci("resume", done.session, cwd=tmp_path)
    assert done.code == 0, done.err
    assert server.bad_requests == []


def test_only_role_and_content_are_sent_and_every_request_begins_with_the_one_before(tmp_path):
    with StrictServer(TROUBLED) as server:
        done = run(tmp_path, server, "openai/strict-model")
    assert done.code == 0, done.err
    previous: list = []
    for request in server.requests:
        assert all(set(message) == {"role", "content"} for message in request.messages)
        assert request.messages[: len(previous)] == previous
        previous = request.messages
