"""Many sessions at once, and one budget above them."""

from __future__ import annotations

import json

from ai_sci.agent.batch.state import read_batch
from ai_sci.agent.journal.events import CallFailed, CallStarted, Replied
from ai_sci.agent.journal.journal import read_journal
from ai_sci.agent.journal.state import Status
from tests.batch.fleet import Thinker, make_fleet

IDEAS = 32
PRICES = {
    "openai/thinker": {
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 1e-5,
        "max_output_tokens": 500,
        "max_input_tokens": 100_000,
    }
}


def calls(night) -> tuple[float, float]:
    """USD that all calls of the batch have cost, and the most that one of them had set aside."""
    events = [entry.event for path in night.glob("*/journal.jsonl") for entry in read_journal(path)]
    spent = sum(event.cost or 0.0 for event in events if isinstance(event, (Replied, CallFailed)))
    return spent, max(event.reserved_cost or 0.0 for event in events if isinstance(event, CallStarted))


def test_thirty_two_sessions_at_once_never_spend_more_than_the_budget(batch, resume, tmp_path):
    fleet = make_fleet(tmp_path, IDEAS, 2, thinking=(0.2, 0.6))
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    prices = {"AI_SCI_PRICES": str(tmp_path / "prices.json")}
    gpus = ",".join(map(str, range(16)))
    with Thinker(fleet) as server:
        args = ("--ideas", "all", "--template", fleet.template, "--gpus", gpus, "--max-runs", "2")
        model = ("--model", "openai/thinker", "--api-base", server.url)
        night = batch(*args, *model, "--max-cost", "0.05", **prices)
        done = night.ended()
        assert done.code == 3, done.err
        spent, reservation = calls(night.folder)
        assert 0.05 - 2 * reservation < spent <= 0.05, (spent, reservation)
        state = read_batch(night.folder)
        assert state.status is Status.budget_exhausted
        asked = {idea.left.status for idea in state.ideas.values() if idea.left is not None}
        assert "budget_exhausted" in asked and asked <= {"budget_exhausted", "completed"}
        reasons = [idea.left.reason for idea in state.ideas.values() if idea.left and "--max-cost" in idea.left.reason]
        assert reasons and all("Resume the batch with a higher --max-cost" in reason for reason in reasons)

        again = resume("--max-cost", "5", **prices).ended()
        assert again.code == 0, again.err
    state = read_batch(night.folder)
    assert state.status is Status.completed and all(idea.done for idea in state.ideas.values())
    assert len(server.requests) == 2 * IDEAS  # nothing was asked twice


def test_a_price_that_nobody_knows_is_said_before_anything_begins(batch, tmp_path):
    fleet = make_fleet(tmp_path, 2, 1)
    args = (
        "--ideas",
        "all",
        "--template",
        fleet.template,
        "--model",
        "openai/nobody",
        "--api-base",
        "http://[::1]:9/v1",
    )
    done = batch(*args, "--session-max-cost", "1").ended()
    assert done.code == 2 and "AI_SCI_PRICES" in done.error
    assert not (tmp_path / "runs" / "night").exists()
