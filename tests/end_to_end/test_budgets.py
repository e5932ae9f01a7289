"""Money over a resume: what was spent before still counts, and the limit holds before a call, not after it."""

from __future__ import annotations

import re

import pytest

from ai_sci.agent.journal.events import Replied
from ai_sci.agent.journal.journal import read_journal
from tests.end_to_end.command import ai_sci, shown
from tests.end_to_end.templates import good_session, make_template
from tests.servers.openai_strict import StrictServer

MODEL = "openai/gpt-4o-mini"  # litellm knows its price


def test_spending_carries_over_a_resume_and_never_passes_the_limit(tmp_path):
    with StrictServer(good_session()) as server:
        start = [
            *("run", "--template", make_template(tmp_path / "template"), "--idea", "more_steps", "--session", "s"),
            *("--model", MODEL, "--api-base", server.url, "--max-cost", "0.0001"),
        ]
        done = ai_sci(*start, cwd=tmp_path)
        assert done.code == 3, done.err
        assert server.requests == [], "the first call's worst case is more than the limit"
        state = shown(done.session)
        assert state["status"] == "budget_exhausted"
        worst = float(re.search(r"may take (\d+\.\d+)", state["reason"])[1])  # type: ignore[index]

        limit = worst + 0.0002  # for the first calls, and the worst case of one more
        done = ai_sci("resume", done.session, "--max-cost", str(limit), cwd=tmp_path)
        assert done.code == 3, done.err
        state, asked = shown(done.session), len(server.requests)
        assert state["status"] == "budget_exhausted"
        assert 0 < state["llm"]["cost_usd"] <= limit
        assert 0 < asked < 4

        done = ai_sci("resume", done.session, cwd=tmp_path)
        assert done.code == 3
        assert len(server.requests) == asked, "what was spent before the resume still counts"
        assert shown(done.session)["llm"] == state["llm"]

        done = ai_sci("resume", done.session, "--max-cost", "1", cwd=tmp_path)
        assert done.code == 0, done.err
    replies = [
        entry.event for entry in read_journal(done.session / "journal.jsonl") if isinstance(entry.event, Replied)
    ]
    assert len(replies) == len(server.requests) == 4
    assert shown(done.session)["llm"]["cost_usd"] == pytest.approx(sum(reply.cost or 0 for reply in replies), abs=1e-6)


def test_a_model_without_a_price_goes_on_without_a_limit_and_says_so(tmp_path):
    with StrictServer(good_session()) as server:
        template = make_template(tmp_path / "template")
        options = ["--session", "s", "--model", MODEL, "--api-base", server.url, "--max-cost", "0.0001"]
        done = ai_sci("run", "--template", template, "--idea", "more_steps", *options, cwd=tmp_path)
        assert done.code == 3
        asked = ["--model", "openai/my-own", "--api-base", server.url]
        refused = ai_sci("resume", done.session, *asked, "--max-cost", "5", cwd=tmp_path)
        assert refused.code == 2 and "no price" in refused.error
        done = ai_sci("resume", done.session, *asked, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "No limit on cost from here on" in done.err
