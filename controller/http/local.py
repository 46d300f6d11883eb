"""Before there is a key, only programs of this machine are answered, and no page that a browser shows.

A service on a loopback address is reached by every page in a browser of that machine: by a name that its owner points at
127.0.0.1 (DNS rebinding), or by a form that posts there. Neither can forge the headers that give it away: `Host` holds the
name the page came from, and `Origin` (with a write) the page itself.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

from controller.http.problems import Problem

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?\Z", re.ASCII)
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What tells that somebody farther away asks through a program of this machine."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_local(scope: Scope) -> None:
    """Raises Problem host-not-allowed, origin-not-allowed."""
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    client = scope.get("client")
    if any(name in headers for name in FORWARDED):
        raise Problem("host-not-allowed", "The request came through a proxy: make a key before this service has one.")
    if len(hosts) != 1 or not is_local_host(hosts[0]) or (client and client[0] and not is_local(client[0])):
        raise Problem("host-not-allowed")
    if scope["method"] in SAFE:
        return
    origins = headers.getlist("origin")
    if any(origin.lower() not in _same(hosts[0]) for origin in origins):
        raise Problem("origin-not-allowed")
    if headers.get("sec-fetch-site", "none").lower() not in ("none", "same-origin"):
        raise Problem("origin-not-allowed")


def is_local_host(host: str) -> bool:
    """Whether a Host header names this machine and nothing else could."""
    found = HOST.match(host)
    if found is None:
        return False
    name = found["name"].lower()
    return name == "localhost" or name.endswith(".localhost") or is_local(name.strip("[]"))


def is_local(address: str) -> bool:
    """Whether it is an address that only this machine reaches."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _same(host: str) -> tuple[str, str]:
    return f"http://{host.lower()}", f"https://{host.lower()}"
