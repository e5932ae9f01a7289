"""Says when a failed request went to a proxy, above all where its server is on this machine or its network."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ai_sci.agent.models.connections import HttpTrace
from ai_sci.agent.models.reply import CallFailure

# What no proxy causes: the words are the server's own.
_OF_THE_SERVER = {"context_window", "rate_limited", "payment", "stream_error", "out_of_time", "not_sent", "internal"}
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan")


def with_proxy(failure: CallFailure, trace: HttpTrace) -> CallFailure:
    """The failure, with the proxy that the request went to where it may be to blame."""
    proxy = proxy_for(trace.scheme, trace.host)
    if proxy is None or failure.kind in _OF_THE_SERVER:
        return failure
    if is_local(trace.host):
        note = f"{trace.host} is nearby, but the request went to {proxy}: set {_exempting(trace.host)}"
    elif failure.kind == "connection" or failure.status == 407:
        note = f"the request went to {proxy}"
    else:
        return failure
    return replace(failure, message=f"{failure.message}; {note}")


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy for requests to `host`, with the variable that names it and without its password; None without one."""
    if not host or proxy_bypass(host):
        return None
    proxies = getproxies()
    kind = next((kind for kind in (scheme, "all") if proxies.get(kind)), None)
    if kind is None:
        return None
    names = (f"{kind}_proxy", f"{kind}_proxy".upper())
    variable = next((f" ({name})" for name in names if os.environ.get(name)), "")
    return f"the proxy {_shown(proxies[kind])}{variable}"


def is_local(host: str) -> bool:
    """Whether this is a name or an address of this machine or of a private network."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.lower().endswith(_LOCAL_NAMES)
    return address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified


def _exempting(host: str) -> str:
    """The variable that names exceptions, with this one added."""
    name = next((name for name in ("no_proxy", "NO_PROXY") if os.environ.get(name)), "NO_PROXY")
    return f"{name}={','.join(filter(None, (os.environ.get(name), host)))}"


def _shown(proxy: str) -> str:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
