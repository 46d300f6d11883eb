"""uvicorn's protocol, saying in our words what is not HTTP at all."""

from __future__ import annotations

import random

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from controller.http.problems import CATALOGUE, MEDIA_TYPE


class Protocol(HttpToolsProtocol):
    """Requests the parser refuses never reach the app; their answer is a problem all the same."""

    def send_400_response(self, msg: str) -> None:
        """Called by the parent with its own words, which are left out."""
        kind, id = CATALOGUE["bad-request"], f"{random.getrandbits(96):024x}"
        shown = {
            "type": "/problems/bad-request",
            "title": kind.title,
            "status": kind.status,
            "detail": kind.about,
            "request_id": id,
            "instance": f"urn:request:{id}",
        }
        body = orjson.dumps(shown)
        head = (
            f"HTTP/1.1 400 Bad Request\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-ID: {id}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
