"""`Idempotency-Key`: a POST that is sent again has one effect, and is answered as it was the first time.

A key is a tenant's and a path's own. What a request came to is kept in the same step that made the board; what the answer
said is read off that board's log again, so that nothing of an erased board stays behind with the key. While a request is
being answered others with its key are refused; whoever crashes meanwhile holds them up for seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import Request

from blackboard.board import Board, apply
from blackboard.errors import StorageError
from blackboard.keys import partition_of
from blackboard.once import HOLD_MS, Made, Once, made, place_of
from blackboard.ports import Store
from controller.http.body import unread
from controller.http.door import api_of, caller_of
from controller.http.etags import etag
from controller.http.problems import Problem
from controller.values import RequestUnderWay
from controller.views import BoardView, links

HEADER: Final = "idempotency-key"
STRING: Final = re.compile(r'[ \t]*"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"[ \t]*\Z')
"""A String of RFC 8941, without parameters."""
LONGEST: Final = 255
PAGE: Final = 128
PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A quoted string of 1 to 255 characters, new for each thing to be done. For 24 hours the same request "
    "with the same key has no second effect: it is answered as it was the first time, with `Idempotency-Replayed: true`.",
    "schema": {"type": "string", "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
}
"""For OpenAPI."""
REPLAYED: Final = {"Idempotency-Replayed": "true"}
SLUGS: Final = ("idempotency-key-invalid", "idempotency-in-progress", "idempotency-key-reused")


class Turn:
    """One request's turn to be answered. Without a key it is always the first."""

    def __init__(self, request: Request, place: tuple[int, str] | None, nonce: str, known: Made | None) -> None:
        self._request, self._place, self._nonce, self._known = request, place, nonce, known

    @property
    def repeated(self) -> bool:
        """Whether a request with this key has been answered: its content is then looked at, and not kept."""
        return self._known is not None

    @property
    def keyed(self) -> bool:
        """Whether the request has a key."""
        return self._place is not None

    def once(self, content: bytes) -> Once | None:
        """What makes the commit happen once; None without a key. Raises Problem when the key was another request's."""
        if self._place is None:
            return None
        words = (self._request.method.encode(), self._request.url.path.encode(), content)
        fingerprint = hashlib.sha256(b"\0".join(words)).hexdigest()
        if self._known is not None and self._known.fingerprint != fingerprint:
            raise Problem("idempotency-key-reused")
        return Once(*self._place, self._nonce, fingerprint)

    async def first(self) -> BoardView | None:
        """What was answered the first time, if it was. Raises Problem not-found when that board was removed."""
        return None if self._known is None else await self._view(self._known)

    async def answered(self) -> BoardView | None:
        """With a key: the board as this request made it, whatever became of it since."""
        if self._place is None:
            return None
        found = made(await api_of(self._request).store.once(*self._place, self._nonce, 0))
        return None if found is None else await self._view(found)

    async def _view(self, known: Made) -> BoardView:
        folded = await _fold(api_of(self._request).store, known)
        if folded.head.get("tenant") != caller_of(self._request).tenant:
            raise Problem("not-found")
        return BoardView(known.board, folded.head)


@asynccontextmanager
async def in_turn(request: Request, board: str = "") -> AsyncIterator[Turn]:
    """Hold a request's turn while it is answered. `board`: the one it is about, whose slot then knows of it.

    Raises Problem idempotency-key-invalid, or idempotency-in-progress where somebody is answering it right now.
    """
    key = _key(request)
    if key is None:
        yield Turn(request, None, "", None)
        return
    store, nonce = api_of(request).store, secrets.token_hex(16)
    partition, name = place_of(store.partitions, caller_of(request).tenant, request.url.path, key)
    place = (partition_of(board) if board else partition, name)
    said = await store.once(*place, nonce, HOLD_MS)
    if said == "busy":
        raise _under_way(request)
    known = made(said)
    if known is not None:
        yield Turn(request, place, nonce, known)
        return
    holding = asyncio.create_task(_hold(store, place, nonce))
    try:
        yield Turn(request, place, nonce, None)
    except BaseException as error:
        # Nothing came of it, as far as is known: the next try need not wait. What came of it all the same stays known.
        holding.cancel()
        with suppress(StorageError):
            await asyncio.shield(store.once(*place, nonce, 0))
        if isinstance(error, RequestUnderWay):
            raise _under_way(request) from None
        raise
    finally:
        holding.cancel()


def made_at(view: BoardView, turn: Turn) -> dict[str, str]:
    """The headers of an answer that names a board."""
    more = REPLAYED if turn.repeated else {}
    return {"Location": links(view.id)["self"], "ETag": etag(view.revision), **more}


async def _hold(store: Store, place: tuple[int, str], nonce: str) -> None:
    """An upload may take minutes."""
    while True:
        await asyncio.sleep(HOLD_MS / 3000)
        with suppress(StorageError):
            await store.once(*place, nonce, HOLD_MS)


def _key(request: Request) -> str | None:
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    found = STRING.match(given[0]) if len(given) == 1 else None
    key = re.sub(r"\\(.)", r"\1", found[1]) if found else ""
    if not 0 < len(key) <= LONGEST:
        raise Problem("idempotency-key-invalid", headers=unread(request))
    return key


def _under_way(request: Request) -> Problem:
    return Problem("idempotency-in-progress", headers={"Retry-After": "1", **unread(request)})


async def _fold(store: Store, known: Made) -> Board:
    folded, after = Board(known.board), "0-0"
    while folded.revision < known.revision:
        records = await store.log(known.board, after, count=1 if known.revision == 1 else PAGE)
        if not records:
            raise Problem("not-found")
        for record in records:
            if record.revision <= known.revision:
                apply(folded, record)
        after = records[-1].id
    return folded
