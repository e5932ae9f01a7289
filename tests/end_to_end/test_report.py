"""`ai-sci report` and `--check` on sessions that ran: what the page says, and that no change of it goes unseen."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_sci.agent.report.check import check_report
from ai_sci.agent.report.make import make_page, write_report
from ai_sci.agent.report.render import plotly_script
from tests.end_to_end.command import ai_sci
from tests.end_to_end.reported import HOSTILE_METRIC, make_batch, tell_session


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """A session, told once and only read."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AI_SCI_CACHE", str(folder / "cache"))
        return tell_session(folder)


@pytest.fixture(scope="module")
def page(told) -> str:
    """Without the plotting library, which is no concern of a test's."""
    return make_page(told, "").html.replace(plotly_script(), "")


@pytest.fixture
def session(told, tmp_path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(told, tmp_path / "runs" / told.name))


def text_of(page: str) -> str:
    body = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_command_writes_the_page_beside_the_journal_and_checks_it(session, tmp_path):
    done = ai_sci("report", session, cwd=tmp_path)
    assert (done.code, done.session) == (0, session / "report.html")
    checked = ai_sci("report", session, "--check", session / "report.html", cwd=tmp_path)
    assert (checked.code, checked.err) == (0, "")
    page = done.session.read_text()
    done.session.write_text(page.replace("run 2", "run 3", 1))
    forged = ai_sci("report", session, "--check", session / "report.html", cwd=tmp_path)
    assert forged.code == 1
    assert "the page says 'run 3" in forged.out and "the session 'run 2" in forged.out


def test_what_is_no_session_or_no_report_is_one_clear_line(session, tmp_path):
    assert "neither a session nor a batch" in ai_sci("report", tmp_path, cwd=tmp_path).error
    (tmp_path / "x.html").write_text("<html>")
    wrong = ai_sci("report", session, "--check", tmp_path / "x.html", cwd=tmp_path)
    assert wrong.code == 2 and "is not an ai-sci report" in wrong.error
    gone = ai_sci("report", session, "-o", tmp_path / "nowhere" / "r.html", cwd=tmp_path)
    assert gone.code == 2 and "Choose another place with -o" in gone.error


def test_the_page_says_what_happened(page):
    said = text_of(page)
    for words in (
        "2 of 2",
        "edit_refused",
        "crashed",
        "raise ValueError",
        "better",
        "loss 0.0",
        "waiting for the model",
        "git -C s show",
        "python experiment.py --out_dir=run_1",
        "ai-sci replay s",
        "I plan",
        "Run 1 trained longer.",
    ):
        assert words in said, words


def test_every_number_leads_to_its_file_and_commit(told, page):
    for run in (0, 1, 2):
        assert f'href="run_{run}/final_info.json"' in page
    commits = re.findall(r'<code class="hash">([0-9a-f]{8})</code>', page)
    assert len(set(commits)) > 3
    for link in set(re.findall(r'href="([^#"]+)"', page)):
        assert (told / link).exists(), link


def test_a_models_words_are_text_and_never_markup(page):
    assert "<script>document" not in page and "<img src=x" not in page
    assert "&lt;script&gt;document.title" in page and "&lt;img src=x" in page
    assert page.count("<script") == 3  # the data, the library, the page's own


def test_the_same_session_gives_the_same_bytes(told):
    assert make_page(told, "").html == make_page(told, "").html


def test_a_report_elsewhere_links_back_to_the_session(told, tmp_path):
    path = write_report(told, tmp_path / "r.html", False)
    link = re.search(r'href="([^"]*run_1/final_info.json)"', path.read_text())
    assert link and (tmp_path / link[1]).resolve() == told / "run_1" / "final_info.json"
    assert check_report(told, path).differences == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_digit_changed_anywhere_on_the_page_is_found(told, tmp_path_factory, data):
    page = make_page(told, "").html
    library = page.index(plotly_script())
    body = page.index("<body>")
    # Where people look: the text and the data of the charts, which stand before the library.
    place = data.draw(st.sampled_from([found.start() for found in re.finditer(r"\d", page[body:library])])) + body
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != page[place]]))
    file = tmp_path_factory.mktemp("forged") / "r.html"
    file.write_text(page[:place] + digit + page[place + 1 :])
    checked = check_report(told, file)
    assert checked.differences and all("the page says" in line for line in checked.differences)


@pytest.mark.parametrize("spoil", ["head", "library", "script", "added", "gone", "bytes"])
def test_other_changes_are_found_too(told, tmp_path, spoil):
    page = make_page(told, "").html
    spoilt = {
        "head": page.replace("#fbfaf8", "#fbfaf9", 1),
        "library": page.replace("Plotly", "Plotli", 1),
        "script": page.replace("overRuns, scatter", "overRuns, curves", 1),
        "added": page.replace("</main>", "<p>and run 3 was best</p></main>"),
        "gone": page.replace("<h2>What was refused, and why</h2>", ""),
        "bytes": page.replace("<main>", "<main >"),
    }[spoil]
    assert spoilt != page
    (tmp_path / "r.html").write_text(spoilt)
    assert check_report(told, tmp_path / "r.html").differences


def test_a_changed_point_of_a_chart_is_named_by_its_chart(told, tmp_path):
    page = make_page(told, "").html
    number = re.search(r'"title":"loss \(lower is better\)".*?"y":\[(\d+\.\d+)', page)
    assert number
    (tmp_path / "r.html").write_text(page[: number.start(1)] + "7" + page[number.end(1) :])
    (line,) = check_report(told, tmp_path / "r.html").differences
    assert "loss (lower is better)" in line and "y 1" in line and "the page says '7'" in line


def test_a_session_that_went_on_is_named_so_and_is_no_forgery(told, tmp_path):
    count = len((told / "journal.jsonl").read_text().splitlines())
    for kept in (count // 3, count // 2, count - 1):
        (tmp_path / "r.html").write_text(make_page(told, "", {"": kept}).html)
        checked = check_report(told, tmp_path / "r.html")
        assert (checked.differences, checked.gone_on) == ([], count - kept)
    done = ai_sci("report", told, "--check", tmp_path / "r.html", cwd=tmp_path)
    assert done.code == 0 and "has gone on since: 1 journal records more" in done.out


def test_a_page_of_more_records_than_there_are_is_refused(session):
    write_report(session, None, False)
    journal = session / "journal.jsonl"
    journal.write_text("".join(line for line in journal.read_text().splitlines(True)[:-2]))
    (line,) = check_report(session, session / "report.html").differences
    assert "and there are" in line


def test_a_number_changed_in_the_journal_is_named_on_the_page(session):
    write_report(session, None, False)
    journal = session / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (closed,) = [line for line in lines if line["event"] == "run_closed" and line["run"] == 2]
    closed["metrics"]["loss"] = 1e-9
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert check_report(session, session / "report.html").differences
    assert "Run 2: loss is" in text_of(make_page(session, "").html)


def test_a_result_changed_on_the_disk_is_named(session):
    write_report(session, None, False)
    result = session / "run_2" / "final_info.json"
    result.write_text(result.read_text().replace("1", "2", 1))
    assert check_report(session, session / "report.html").differences == [
        "run_2/final_info.json: the file is not what its commit holds"
    ]


def test_every_record_of_a_live_session_can_be_the_last(told):
    count = len((told / "journal.jsonl").read_text().splitlines())
    for kept in range(1, count, 2):
        assert "unfinished" in make_page(told, "", {"": kept}).html


def test_an_attempt_under_way_is_on_the_page(told):
    events = [json.loads(line)["event"] for line in (told / "journal.jsonl").read_text().splitlines()]
    said = text_of(make_page(told, "", {"": events.index("attempt_started") + 1}).html)
    assert "under way" in said and "crashed" not in said


def test_markdown_is_one_table_that_an_issue_can_hold(session, tmp_path):
    done = ai_sci("report", session, "--md", cwd=tmp_path)
    text = done.session.read_text()
    assert done.session.name == "report.md"
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3 and len({row.count(" | ") for row in rows}) == 1
    assert "<script>" not in text and HOSTILE_METRIC not in text


def test_a_batch_is_a_leaderboard_and_a_page_for_each_idea(session, tmp_path, monkeypatch):
    monkeypatch.setenv("AI_SCI_CACHE", str(tmp_path / "cache"))
    other = tell_session(tmp_path, "better", steps=30)
    batch = make_batch(session.parent, session, other)
    path = write_report(batch, None, False)
    page = path.read_text()
    ideas = [page.index(f'<a href="#idea-{name}">') for name in ("better", "s")]
    assert ideas == sorted(ideas) and page.index("An Idea That Waits") > ideas[-1]
    assert 'href="better/run_1/final_info.json"' in page
    assert check_report(batch, path).differences == []
    path.write_text(page.replace("2 of 2", "3 of 2", 1))
    assert check_report(batch, path).differences
    (other / "journal.jsonl").write_text("spoiled\n" * 3)
    assert "unreadable" in text_of(write_report(batch, None, False).read_text())
    assert check_report(batch, path).differences == []
    assert len(ai_sci("report", batch, "--md", cwd=tmp_path).session.read_text().splitlines()) < 20
