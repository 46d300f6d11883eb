"""Watching with the Python client: every event once, in order, whatever happens to its connections."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from blackboard.client import Patience, watching
from blackboard.entries import Commit
from blackboard.errors import BoardGone, DocumentUnreadable, UsageError
from tests.integration.serving import Served, serving
from tests.making import end, person, put
from tests.speaking import KINDS, Cutter, Kind, speaking


@pytest.fixture
async def served(redis_store: Any) -> AsyncIterator[Served]:
    """A service without controller or workers."""
    async with serving(redis_store, ping_s=0.2) as served:
        yield served


async def fill(served: Served, board: str, records: int) -> None:
    """Records with a note here and there."""
    for number in range(records):
        await person(served.service.store, board, put(f"page/{number % 5:04}", secrets.token_hex(4)))
        if number % 16 == 1:
            await person(served.service.store, board, put("page/0000"), checks=(("page/0000", 999),), note=True)


async def write_slowly(served: Served, board: str) -> None:
    """More records, and the end."""
    for _ in range(10):
        await asyncio.sleep(0.1)
        await fill(served, board, 4)
    await end(served.service.store, board)


async def ids_of(served: Served, board: str) -> list[str]:
    """Every id of a board's log."""
    return [f"{record.incarnation}.{record.id}" for record in await served.service.store.log(board)]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_event_once_over_cut_connections(served: Served, kind: Kind) -> None:
    """Connections are dropped before, in and behind messages, and refused, while the board is still written to."""
    board = await served.submit()
    await fill(served, board, 20)
    drawn = random.Random(7)
    # A service that never was there is given up at once: the first connection passes something on.
    cuts = iter([1500, *(drawn.choice([0, 150, drawn.randrange(200, 5000)]) for _ in range(8))])
    writing = asyncio.create_task(write_slowly(served, board))
    async with Cutter(served.server.port, cuts) as cutter, speaking(kind, served.base) as near:
        async with speaking(kind, cutter.url) as client:
            seen = [event.id async for event in client.events(board) if event.id]
        await writing
        assert seen == await ids_of(served, board)
        assert cutter.connections > 5
        half = seen[len(seen) // 2]
        assert [event.id async for event in near.events(board, after=half)] == seen[len(seen) // 2 + 1 :]
        assert [event async for event in near.events(board, after=seen[-1])] == [], "204: all of it was read"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reset_is_told_and_followed(served: Served, kind: Kind) -> None:
    board = await served.submit()
    await fill(served, board, 3)
    async with speaking(kind, served.base) as client:
        await end(served.service.store, board)
        told = [event async for event in client.events(board, after="000000000000.7-0")]
        assert [event.type for event in told] == ["reset"]
        assert told[0].ends and told[0].data["head"]["status"] == "completed" and told[0].record is None
        with pytest.raises(UsageError) as off:
            async for _ in client.events(board, after="abc"):
                pass
        assert off.value.slug == "invalid-last-event-id"
        with pytest.raises(BoardGone):
            async for _ in client.events("3-" + "a" * 26):
                pass


@pytest.mark.parametrize("kind", KINDS)
async def test_the_result_of_a_failed_board_is_its_error(served: Served, kind: Kind) -> None:
    board = await served.submit()
    head = {"status": "failed", "outcome": '{"slug":"document-unreadable","reason":"the PDF is encrypted"}'}
    async with speaking(kind, served.base) as client:
        await served.service.store.commit(board, Commit("board.failed", "controller", head=head))
        with pytest.raises(DocumentUnreadable, match="the PDF is encrypted") as failed:
            await client.result(board, timeout=10)
        assert failed.value.slug == "document-unreadable"


HELD = b"<held>"
"""Ends an answer behind which the connection stays open, and silent."""


class Scripted:
    """A server that gives each connection the next of its answers, and remembers what was asked."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = iter(answers)
        self.asked: list[bytes] = []

    async def __aenter__(self) -> Scripted:
        self._listener = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            answer = next(self._answers)
            writer.write(answer.removesuffix(HELD))
            await writer.drain()
            if answer.endswith(HELD):
                await reader.read()
        except (asyncio.IncompleteReadError, StopIteration):
            pass
        finally:
            writer.close()


def plain(status: str, body: bytes = b"", **headers: str) -> bytes:
    """An answer, and the end of the connection."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


def stream(*events: tuple[str, str]) -> bytes:
    """A stream that ends in mid-air."""
    body = b"".join(f"id: {id}\nevent: {type}\ndata: {{}}\n\n".encode() for id, type in events)
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + body + b"id: x.9-0\nev"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_watcher_comes_back_when_it_is_told_to(kind: Kind) -> None:
    busy = b'{"type": "https://x/problems/too-many-streams", "title": "Too many streams"}'
    script = Scripted(
        plain("429 Too Many Requests", busy, retry_after="0"),
        plain("503 Service Unavailable", b"<html>", retry_after="0"),
        stream(("x.1-0", "board.created"), ("x.2-0", "activation.claimed")),
        plain("502 Bad Gateway"),
        stream(),
        stream(("x.3-0", "board.completed"), ("x.4-0", "board.changed")),
    )
    async with script, speaking(kind, script.url, "bb_secret") as client:
        assert [event.id async for event in client.events("0-a")] == ["x.1-0", "x.2-0", "x.3-0"]
    resumed = [b"last-event-id: x.2-0" in asked.lower() for asked in script.asked]
    assert resumed == [False, False, False, True, True, True]
    assert all(b"authorization: bearer bb_secret" in asked.lower() for asked in script.asked)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_read_is_asked_for_again(kind: Kind) -> None:
    board = b'{"id": "0-a", "status": "open", "revision": 1, "new_member": true}'
    script = Scripted(plain("503 Service Unavailable", retry_after="0"), b"", plain("200 OK", board))
    async with script, speaking(kind, script.url, patience=Patience(retries=2)) as client:
        found = await client.board("0-a")
        assert (found.id, found.raw["new_member"]) == ("0-a", True)
    assert len(script.asked) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_redirect_is_not_followed_and_the_key_stays_here(kind: Kind) -> None:
    async with Scripted(plain("200 OK")) as other:
        script = Scripted(plain("307 Temporary Redirect", location=f"{other.url}/v1/boards/0-a"))
        async with script, speaking(kind, script.url, "bb_secret") as client:
            with pytest.raises(Exception, match="answered 307"):
                await client.board("0-a")
        assert other.asked == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_falls_silent_is_left(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SILENCE_S", 0.2)
    script = Scripted(stream(("x.1-0", "board.created")) + HELD, stream(("x.2-0", "board.completed")))
    async with script, speaking(kind, script.url) as client:
        assert [event.id async for event in client.events("0-a")] == ["x.1-0", "x.2-0"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_about_the_stream_moves_the_place_and_is_not_shown(kind: Kind) -> None:
    script = Scripted(
        stream(("x.1-0", "board.created"), ("x.5-0", "stream.bookmark")),
        stream(("x.6-0", "board.failed")),
    )
    async with script, speaking(kind, script.url) as client:
        assert [event.id async for event in client.events("0-a", type="board.failed")] == ["x.1-0", "x.6-0"]
    assert b"last-event-id: x.5-0" in script.asked[1].lower()
    assert b"type=board.failed" in script.asked[0]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_result_is_not_waited_for_longer_than_asked(kind: Kind) -> None:
    script = Scripted(stream(("x.1-0", "board.created")) + HELD)
    async with script, speaking(kind, script.url) as client:
        with pytest.raises(TimeoutError):
            await client.result("0-a", timeout=0.3)
