"""A planted key, and everything that a session, a batch and the commands that read them leave: it is in none of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.end_to_end.command import Done, ai_sci
from tests.end_to_end.templates import NOTES, PLOTS, block, good_session, make_template
from tests.servers import faults
from tests.servers.answers import Answer
from tests.servers.loopback import Messages
from tests.servers.openai_strict import StrictServer

KEY = "sk-planted+0123/456=789"
FORMS = [
    KEY,
    KEY[:14],
    quote(KEY, safe=""),
    json.dumps(KEY).replace("/", "\\/")[1:-1],
    base64.b64encode(KEY.encode()).decode()[:-4],
]
# The model's server shows the key in errors, in streams and in a reply, which goes into the code and into its output.
ECHOES = [
    faults.echo(lambda key: faults.status(429, f"slow down, {key}", headers={"Retry-After": "0"})),
    faults.echo(lambda key: faults.status(500, json.dumps({"Authorization": f"Bearer {key}"}))),
    faults.echo(lambda key: faults.status(502, body=f"<html><body>/?key={quote(key)}</body></html>".encode())),
    faults.echo(lambda key: faults.stream_error(message=f"died serving {key}")),
    faults.echo(lambda key: faults.bad_event(f"{{{key}".encode())),
]
PRINTS = f"STEPS = 20\nprint('the key', '{KEY}', flush=True)"
REPLIES = [
    f"The key {KEY} is yours.\n\n" + block("STEPS = 10", PRINTS),
    f"{KEY} is no edit.",
    "Run 2.\n\n" + block("STEPS = 20", f"STEPS = 30\nraise SystemExit('no {KEY}')"),
    "Run 2.\n\n" + block("raise SystemExit('no OPENAI_API_KEY')\n", "").replace("\n\n", "\n"),
    "Done.\n\nALL_COMPLETED\n",
    PLOTS,
    NOTES.replace("longer.", f"longer, and {KEY} was found."),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    make_template(tmp_path / "template")
    return tmp_path


def environment(folder: Path, **more: str) -> dict[str, Any]:
    places = {"TMPDIR": str(folder / "tmp"), "AI_SCI_CACHE": str(folder / "cache")}
    return {**places, "OPENAI_API_KEY": f"{KEY}\r\n", "AI_SCI_RETRY_WAIT": "0.02", **more}


def run(folder: Path, server: StrictServer, *args: str, **more: Any) -> Done:
    options = ("--template", "template", "--idea", "more_steps", "--session", "s", "--api-base", server.url)
    return ai_sci("--debug", "run", *options, *args, cwd=folder, **environment(folder, **more))


def refuse_leaks(folder: Path, *commands: Done) -> None:
    texts = {f"stdout and stderr of command {n}": done.out + done.err for n, done in enumerate(commands)}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(folder / "template"):
            texts[str(path)] = path.read_bytes().decode("latin-1")
    assert len(texts) > 20
    assert [(place, form) for place, text in texts.items() for form in FORMS if form in text] == []


def test_no_key_is_left_by_a_session_whose_server_shows_it_everywhere(folder: Path):
    with StrictServer(REPLIES, ECHOES, piece=7) as server:
        done = run(folder, server, "--model", "openai/strict-model")
        assert done.code == 0, done.err
        session = folder / "runs" / "s"
        reads = [
            ai_sci(*args, cwd=folder, **environment(folder))
            for args in (["show", session], ["show", session, "--json"], ["report", session], ["watch", session])
        ]
        replayed = ai_sci("replay", session, "--session", "again", cwd=folder, **environment(folder))
    assert [one.code for one in (*reads, replayed)] == [0] * 5, [one.err for one in (*reads, replayed)]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    assert not any(KEY.encode() in request.raw for request in server.requests)
    assert "the key OPENAI_API_KEY" in (session / "attempts/run_1.1/output.log").read_text()
    assert "differs" not in replayed.err and "prompts as recorded" in replayed.err
    refuse_leaks(folder, done, *reads, replayed)


def test_no_key_is_left_by_an_error_that_ends_the_session(folder: Path):
    fatal = faults.echo(lambda key: faults.status(401, f"Incorrect API key provided: {key}"))
    with StrictServer(["never given"], [fatal] * 2) as server:
        done = run(folder, server, "--model", "openai/strict-model")
        resumed = ai_sci("resume", folder / "runs" / "s", cwd=folder, **environment(folder))
    assert (done.code, resumed.code) == (3, 3)
    assert "Incorrect API key provided: OPENAI_API_KEY" in done.err
    refuse_leaks(folder, done, resumed)


@pytest.mark.slow
def test_a_key_in_the_gateways_address_is_sent_and_not_written(folder: Path):
    """Also after a resume, which has the address from the journal."""
    with StrictServer(good_session(), [faults.status(401)]) as server:
        gateway = server.url.replace("/v1", f"/{quote(KEY, safe='+=')}/v1".replace("%2F", "/"))
        done = run(folder, server, "--model", "openai/strict-model", "--api-base", gateway)
        resumed = ai_sci("resume", folder / "runs" / "s", cwd=folder, **environment(folder))
    assert (done.code, resumed.code) == (3, 0), resumed.err
    assert {request.path for request in server.requests} == {f"/{KEY}/v1/chat/completions"}
    refuse_leaks(folder, done, resumed)


def test_an_impossible_key_is_refused_before_anything_begins(folder: Path):
    with StrictServer(["never given"]) as server:
        done = run(folder, server, "--model", "openai/strict-model", OPENAI_API_KEY="sk-plantéd-0123456789")
    assert done.code == 2
    assert "OPENAI_API_KEY cannot be a key: character 9 of 21 is not an ASCII character" in done.error
    assert "plant" not in done.err
    assert server.requests == [] and list((folder / "runs").iterdir()) == []


@pytest.mark.slow
def test_no_key_is_left_by_a_batch(folder: Path):
    session = good_session()

    def answer(messages: Messages) -> Answer:
        return Answer(f"{KEY}\n" + session[sum(one["role"] == "assistant" for one in messages)])

    with StrictServer(answer, ECHOES[:2]) as server:
        done = ai_sci(
            *("batch", "--ideas", "all", "--template", "template", "--slots", "1", "--session", "night"),
            *("--model", "openai/strict-model", "--api-base", server.url),
            cwd=folder,
            **environment(folder),
        )
        report = ai_sci("report", folder / "runs" / "night", cwd=folder, **environment(folder))
    assert (done.code, report.code) == (0, 0), done.err
    refuse_leaks(folder, done, report)


def test_a_template_whose_code_holds_a_key_is_refused(folder: Path):
    make_template(folder / "template", plot_py=f"import os\n\ntoken = {KEY!r}\n")
    with StrictServer(["never given"]) as server:
        done = run(folder, server, "--model", "openai/strict-model")
    assert done.code == 2
    assert "template/plot.py holds the value of OPENAI_API_KEY" in done.error
    assert server.requests == [] and list((folder / "runs").iterdir()) == []
