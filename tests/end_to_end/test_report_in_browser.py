"""The page in a real browser, headless: nothing leaves the file, nothing is on the console, it fits a phone.

Screenshots lie in the folder that AI_SCI_SCREENSHOTS names, for people to look at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_sci.agent.report.make import write_report
from tests.end_to_end.reported import HOSTILE_METRIC, make_batch, tell_session

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
SANDBOX = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own does not start as root

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: scripts/install-chromium.sh installs Debian's"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*SANDBOX, *FLAGS.split(), "--disable-sync"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Path:
    """The page of a batch of two, and beside each journal the page of that session."""
    folder = tmp_path_factory.mktemp("batch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AI_SCI_CACHE", str(folder / "cache"))
        sessions = [tell_session(folder, "s"), tell_session(folder, "better", steps=30)]
    for session in sessions:
        write_report(session, None, False)
    return write_report(make_batch(folder / "runs", *sessions), None, False)


class Page:
    """One open page; `close` fails when it said or asked for anything that it should not."""

    def __init__(self, browser: Any, file: Path, width: int, scheme: str) -> None:
        self.wrong: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        self.page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._request)
        self.file = file.as_uri()
        self.page.goto(self.file)
        self.page.wait_for_selector("main > article:not([hidden]) .main-svg")

    def _request(self, request: Any) -> None:
        if request.url.partition("#")[0] != self.file and not request.url.startswith("data:"):
            self.wrong.append(f"request: {request.url}")

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def shoot(self, name: str) -> None:
        if folder := os.environ.get("AI_SCI_SCREENSHOTS"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    def close(self) -> None:
        self.page.close()
        assert self.wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_session_fits_the_screen_and_follows_the_theme(browser, batch, width):
    page = Page(browser, batch.parent / "s" / "report.html", width, "light")
    for scheme in ("light", "dark"):
        page.page.emulate_media(color_scheme=scheme)
        assert page.run("document.documentElement.scrollWidth") == width
        red = int(page.run("getComputedStyle(document.body).backgroundColor").split("(")[1].split(",")[0])
        assert (red < 60) == (scheme == "dark")
        drawn = page.run(
            "[...document.querySelectorAll('[data-chart]')].map(one => one.querySelectorAll('.main-svg').length)"
        )
        assert len(drawn) >= 4 and all(drawn)
        page.shoot(f"session-{width}-{scheme}")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_of_an_idea_opens_from_the_leaderboard_and_is_drawn_only_then(browser, batch, width, scheme):
    page = Page(browser, batch, width, scheme)
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run("document.querySelectorAll('#idea-better .main-svg').length") == 0
    page.page.click("a[href='#idea-better']")
    page.page.wait_for_selector("#idea-better .main-svg")
    assert page.run("document.getElementById('ideas').hidden")
    assert page.run("document.querySelectorAll('#idea-s .main-svg').length") == 0
    page.page.go_back()
    page.page.wait_for_selector("#ideas:not([hidden])")
    page.shoot(f"batch-{width}-{scheme}")
    page.close()


def test_the_button_changes_the_theme_of_page_and_charts(browser, batch):
    page = Page(browser, batch.parent / "s" / "report.html", 1280, "light")
    look = "[getComputedStyle(document.body).backgroundColor, document.querySelector('.xtick text').style.fill]"
    before = page.run(look)
    page.page.click("#theme")
    after = page.run(look)
    assert before[0] != after[0] and before[1] != after[1]
    page.close()


def test_no_word_of_a_model_or_an_experiment_is_obeyed(browser, batch):
    page = Page(browser, batch.parent / "s" / "report.html", 1280, "light")
    assert "pwned" not in page.run("document.title").replace("document.title='pwned'", "")
    assert page.run("document.querySelectorAll('img[src=x]').length") == 0
    assert HOSTILE_METRIC in page.run("[...document.querySelectorAll('figcaption')].map(one => one.textContent)")
    page.close()
