"""A proxy in the environment is named where it stands between us and a server nearby."""

from __future__ import annotations

import os

import pytest

from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.proxies import is_local, proxy_for, with_proxy
from ai_sci.agent.models.reply import CallFailure


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def said(kind: str, host: str, status: int | None = None, scheme: str = "http") -> str:
    return with_proxy(CallFailure(status, kind, "failed"), HttpTrace(scheme=scheme, host=host)).message


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "10.1.2.3", "192.168.0.7", "0.0.0.0", "gpu01"])
@pytest.mark.parametrize("kind", ["connection", "server_error", "auth", "not_found", "not_a_reply", "timeout", "cut"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_server_nearby(host, kind, variable, monkeypatch):
    monkeypatch.setenv(variable, "http://me:secret@proxy.example:3128")
    line = said(kind, host)
    assert f"the proxy http://proxy.example:3128 ({variable})" in line
    assert f"set NO_PROXY={host}" in line
    assert "secret" not in line


@pytest.mark.parametrize("kind", ["context_window", "rate_limited", "payment", "stream_error", "out_of_time"])
def test_what_the_server_itself_said_is_left_alone(kind, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert said(kind, "localhost") == "failed"


def test_a_server_far_away_needs_its_proxy(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert said("connection", "api.example.com", scheme="https").endswith(
        "the request went to the proxy http://proxy.example:3128 (HTTPS_PROXY)"
    )
    assert "NO_PROXY" not in said("connection", "api.example.com", scheme="https")
    assert said("server_error", "api.example.com", 503, "https") == "failed"
    assert "the proxy" in said("bad_request", "api.example.com", 407, "https")


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_other_exceptions_are_kept(variable, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv(variable, "intranet.example")
    assert said("connection", "localhost").endswith(f"set {variable}=intranet.example,localhost")


@pytest.mark.parametrize("exempt", ["localhost", "*", "localhost,127.0.0.1"])
def test_a_server_that_no_proxy_names_is_reached_directly(exempt, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert proxy_for("http", "localhost") is None
    assert said("connection", "localhost") == "failed"


def test_without_a_proxy_nothing_is_said(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")  # for another scheme
    assert said("connection", "localhost") == "failed"
    assert said("connection", "") == "failed"


@pytest.mark.parametrize("host", ["api.example.com", "8.8.8.8", "2001:4860:4860::8888", "localhost.example.com"])
def test_what_is_not_nearby(host):
    assert not is_local(host)
