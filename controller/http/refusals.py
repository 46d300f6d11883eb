"""A problem as the bytes of a whole answer, for what never becomes a request."""

from __future__ import annotations

import random
from http import HTTPStatus

import orjson

from controller.http.problems import CATALOGUE, MEDIA_TYPE


def rendered(slug: str, *, bare: bool = False) -> bytes:
    """The last answer on its connection. `bare`: without its body, to a HEAD."""
    kind, id = CATALOGUE[slug], f"{random.getrandbits(96):024x}"
    shown = {
        "type": f"/problems/{slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.about,
        "request_id": id,
        "instance": f"urn:request:{id}",
    }
    body = orjson.dumps(shown)
    retry = "Retry-After: 1\r\n" if kind.status == 503 else ""
    head = (
        f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        f"X-Request-ID: {id}\r\n{retry}Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if bare else body)
