"""Two executions of one job, and a session that may stop waiting at any moment: exactly one outcome counts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ai_sci.experiment.attempt.runner import AttemptOutcome, AttemptPlan
from ai_sci.experiment.base.errors import DiskFull, EnvironmentFailed
from ai_sci.experiment.base.limits import Limits
from ai_sci.experiment.base.verdict import Verdict
from ai_sci.experiment.environment.environment import Environment
from ai_sci.experiment.sandbox.unsandboxed import Unsandboxed
from ai_sci.experiment.slurm.ticket import Ticket, find_ticket, open_ticket
from ai_sci.experiment.template.template import load_template
from tests.end_to_end.templates import make_template


@pytest.fixture
def plan(tmp_path) -> AttemptPlan:
    session = make_template(tmp_path / "session")
    (session / "run_0").mkdir()
    environment = Environment(Path("/usr/bin/python3"), "key", ())
    template = load_template(str(session))
    return AttemptPlan(session, 1, 1, "full", template, environment, None, Unsandboxed(), Limits())


def begin(ticket: Ticket, name: str) -> tuple[Path, AttemptOutcome]:
    """An execution on the node `name`, finished but for saying so."""
    execution = ticket.begin("7", name, "0", 1000.0)
    inner = execution / "session"
    attempt = inner / "attempts" / "run_1.1"
    for folder in (attempt, inner / "run_1"):
        folder.mkdir(parents=True)
    (attempt / "output.log").write_text(name)
    (inner / "run_1" / "final_info.json").write_text(name)
    outcome = AttemptOutcome(
        *(Verdict.ok, "ended normally", 1.0, {"loss": 0.5}, "", inner / "run_1", attempt / "output.log", 0, 10)
    )
    return execution, outcome


def test_of_two_executions_the_first_outcome_counts(plan):
    ticket = open_ticket(plan)
    (late, late_outcome), (early, early_outcome) = begin(ticket, "n1"), begin(ticket, "n2")
    ticket.offer(early, early_outcome)
    ticket.offer(late, late_outcome)
    assert ticket.accepted == early and not ticket.close()
    outcome = ticket.take_in(plan, early)
    assert (outcome.verdict, outcome.metrics, outcome.place) == (Verdict.ok, {"loss": 0.5}, "node n2 gpu 0")
    assert (plan.out_dir / "final_info.json").read_text() == "n2" == outcome.log.read_text()
    assert outcome.out_dir == plan.out_dir and outcome.log == plan.folder / "output.log"


def test_executions_and_a_session_that_gives_up_decide_once_between_them(plan):
    ticket = open_ticket(plan)
    executions = [begin(ticket, f"n{number}") for number in range(8)]
    barrier = threading.Barrier(9)
    closed: list[bool] = []

    def offer(execution: Path, outcome: AttemptOutcome) -> None:
        barrier.wait()
        ticket.offer(execution, outcome)

    def close() -> None:
        barrier.wait()
        closed.append(ticket.close())

    threads = [threading.Thread(target=offer, args=one) for one in executions] + [threading.Thread(target=close)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert closed == [ticket.accepted is None]
    assert ticket.is_over and ticket.is_closed == closed[0]


def test_after_a_session_has_given_up_no_outcome_counts(plan):
    ticket = open_ticket(plan)
    execution, outcome = begin(ticket, "n1")
    assert ticket.close() and ticket.close()
    ticket.offer(execution, outcome)
    assert ticket.accepted is None and ticket.is_closed


def test_files_that_were_taken_in_half_are_taken_in_again(plan):
    ticket = open_ticket(plan)
    execution, outcome = begin(ticket, "n1")
    ticket.offer(execution, outcome)
    (execution / "session" / "attempts" / "run_1.1" / "output.log").rename(plan.folder / "output.log")
    for _ in range(2):
        assert ticket.take_in(plan, execution).metrics == {"loss": 0.5}
    assert (plan.folder / "output.log").read_text() == (plan.out_dir / "final_info.json").read_text() == "n1"


@pytest.mark.parametrize(
    ("error", "raised"), [(DiskFull("full"), DiskFull), (EnvironmentFailed("gone"), EnvironmentFailed)]
)
def test_what_stopped_an_execution_is_raised_where_it_is_waited_for_and_is_no_outcome(plan, error, raised):
    ticket = open_ticket(plan)
    execution, _ = begin(ticket, "n1")
    ticket.offer(execution, error)
    assert find_ticket(plan) == ticket
    with pytest.raises(raised, match="node n1 gpu 0: "):
        ticket.take_in(plan, execution)
    assert find_ticket(plan) is None  # so that a resume submits a new job
    assert ticket.close()  # its job is ended, and that no folder is left hides nothing


def test_an_execution_has_the_code_and_the_earlier_runs_and_a_folder_of_its_own(plan):
    ticket = open_ticket(plan)
    (plan.session / "experiment.py").write_text("edited since")
    one, other = begin(ticket, "n1")[0], begin(ticket, "n1")[0]
    assert one != other
    assert "edited since" not in (one / "session" / "experiment.py").read_text()
    assert (one / "session" / "run_0").resolve() == plan.session / "run_0"
    (one / "session" / "experiment.py").write_text("changed by the experiment")
    assert "changed" not in (other / "session" / "experiment.py").read_text()
