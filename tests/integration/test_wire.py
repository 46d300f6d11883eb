"""The wire: what is not HTTP, too large or too slow is answered with a problem, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from blackboard.blobs import Blobs
from blackboard.memory import MemoryStore
from tests.integration.raw import HOST, JSON, Reply, connected, exchange, get, post
from tests.integration.serving import Served, serving

HEAD = b"POST /v1/documents HTTP/1.1\r\n" + HOST + JSON
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TEXT = b'{"text": "a"}'
QUICK = {"http_header_s": 0.3, "http_body_s": 0.3, "http_keep_alive_s": 0.4}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[Served]:
    """One service for all who do it no harm, which is what is tested."""
    async with serving(MemoryStore(Blobs.at("memory://"))) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hasty() -> AsyncIterator[Served]:
    """A service that waits for nobody."""
    async with serving(MemoryStore(Blobs.at("memory://")), **QUICK) as served:
        yield served


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk of a body."""
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


BROKEN = {
    "garbage": b"GARBAGE\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c4") + bytes(200),
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http2-version": b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n",
    "http-0.9": b"GET /livez\r\n\r\n",
    "http-1.2": b"GET /livez HTTP/1.2\r\n" + HOST + b"\r\n",
    "huge-method": b"A" * 200_000 + b" / HTTP/1.1\r\n\r\n",
    "lower-case-method": b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority-form": b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "target-not-ascii": b"GET /v1/boards/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "target-with-nul": b"GET /livez\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "target-with-space": b"GET /live z HTTP/1.1\r\n" + HOST + b"\r\n",
    "no-host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two-hosts": b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "bare-lf": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "bare-cr": b"GET /livez HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "obs-fold": get(b"/livez", b"A: b\r\n c"),
    "space-before-colon": get(b"/livez", b"A : b"),
    "nul-in-a-value": get(b"/livez", b"A: b\0c"),
    "nul-in-a-name": get(b"/livez", b"A\0: b"),
    "no-colon": get(b"/livez", b"A"),
    "length-negative": HEAD + b"Content-Length: -5\r\n\r\n",
    "length-signed": HEAD + b"Content-Length: +5\r\n\r\n",
    "length-hexadecimal": HEAD + b"Content-Length: 0x5\r\n\r\n",
    "length-empty": HEAD + b"Content-Length: \r\n\r\n",
    "length-twice": HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length-list": HEAD + b"Content-Length: 1, 1\r\n\r\na",
    "length-overflow": HEAD + b"Content-Length: 99999999999999999999\r\n\r\na",
    "length-and-chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks-and-length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "coding-twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-besides": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding-unknown": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding-in-1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "chunk-size": CHUNKED + b"zz\r\n",
    "chunk-negative": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "chunk-overflow": CHUNKED + b"ffffffffffffffffffff\r\nx\r\n",
    "chunk-bare-lf": CHUNKED + b"1\nx\r\n0\r\n\r\n",
    "chunk-too-long": CHUNKED + b"1\r\nxy0\r\n\r\n",
    "chunk-extensions": CHUNKED + chunk(b"x", b";a=" + b"b" * 1000) * 100,
    "chunk-extension-endless": CHUNKED + b"1;" + b"a" * 300_000,
    "chunks-tiny": CHUNKED + chunk(b" ", b";" + b"a" * 20) * 20_000,
    "trailers-endless": CHUNKED + chunk(TEXT) + b"0\r\n" + b"A: b\r\n" * 40_000,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_not_http(served: Served, name: str) -> None:
    """Answered and closed, though more may be on its way; the next connection is served."""
    (await exchange(served.server.port, BROKEN[name])).problem(400, "bad-request")
    assert (await served.client.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    ("request_", "status", "slug"),
    [
        (get(b"/livez?" + b"a" * 9000), 414, "uri-too-long"),
        (get(b"/livez?" + b"a" * 5_000_000), 414, "uri-too-long"),
        (b"GET /" + b"a" * 40_000, 414, "uri-too-long"),
        (get(b"/livez", b"A: " + b"b" * 17_000), 431, "header-fields-too-large"),
        (get(b"/livez", b"A: " + b"b" * 5_000_000), 431, "header-fields-too-large"),
        (get(b"/livez", *[b"A: b"] * 3000), 431, "header-fields-too-large"),
        (get(b"/livez", *[b"A: b"] * 100_000), 431, "header-fields-too-large"),
        (b"GET /livez HTTP/1.1\r\nA: " + b"b" * 30_000, 431, "header-fields-too-large"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
async def test_headers_that_are_too_large(served: Served, request_: bytes, status: int, slug: str) -> None:
    (await exchange(served.server.port, request_)).problem(status, slug)


async def test_what_is_large_but_not_too_large(served: Served) -> None:
    async with connected(served.server.port) as line:
        for request in (get(b"/livez", b"A: " + b"b" * 16_000), get(b"/livez?" + b"a" * 8000, b"A: " + b"b" * 16_000)):
            for part in (request, request[:7000] + request[7000:]):
                await line.send(part)
                assert (await line.reply()).status == 200
        many = get(b"/livez", b"A: " + b"b" * 1000)
        await line.send(many * 60)
        assert [(await line.reply()).status for _ in range(60)] == [200] * 60


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n" + get(), 200),
        (b"GET http://example.org/livez?x=1 HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (get(b"//livez"), 404),
        (get(b"/livez", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), 200),
        (get(b"/livez", b"Connection: Upgrade", b"Upgrade: websocket"), 200),
        (post(TEXT, b"Expect: 200-ok"), 202),
        (CHUNKED + chunk(TEXT[:5], b";a=b") + chunk(TEXT[5:]) + b"0\r\nTrailing: x\r\n\r\n", 202),
    ],
    ids=str,
)
async def test_what_is_odd_but_http(served: Served, request_: bytes, status: int) -> None:
    async with connected(served.server.port) as line:
        await line.send(request_)
        assert (await line.reply()).status == status


async def test_trailers_are_no_headers(served: Served) -> None:
    """A proxy that checks or strips a header field has not seen those behind the body."""
    coded = CHUNKED + chunk(TEXT) + b"0\r\nContent-Encoding: gzip\r\nHost: evil\r\n\r\n"
    async with connected(served.server.port) as line:
        await line.send(coded)
        assert (await line.reply()).status == 202


async def test_http_1_0(served: Served) -> None:
    reply = await exchange(served.server.port, b"GET /livez HTTP/1.0\r\n\r\n")
    assert (reply.status, reply.body) == (200, b'{"status":"ok"}')


async def test_a_pipeline_is_answered_in_order_up_to_its_limit(served: Served) -> None:
    paths = [b"/livez", b"/nowhere", b"/v1/boards"] * 20
    async with connected(served.server.port) as line:
        await line.send(b"".join(map(get, paths)))
        assert [(await line.reply()).status for _ in paths] == [200, 404, 200] * 20
        await line.send(get() * 5000)
        for _ in range(64):
            assert (await line.reply()).status == 200
        assert (await line.last()).status == 200


@pytest.mark.parametrize("bad", ["garbage", "obs-fold", "length-and-chunks", "coding-unknown", "http2-preface"])
async def test_what_is_not_http_behind_a_good_request(served: Served, bad: str) -> None:
    """The good one gets its answer, whole; then the connection ends, and nothing in it is taken for a request."""
    async with connected(served.server.port) as line:
        await line.send(post(TEXT) + BROKEN[bad] + get())
        assert (await line.last()).status == 202
    async with connected(served.server.port) as line:
        await line.send(post(TEXT))
        assert (await line.reply()).status == 202
        await line.send(BROKEN[bad])
        (await line.last()).problem(400, "bad-request")


def stuttering(data: bytes, size: int = 1) -> list[bytes]:
    """The data in small pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    "start",
    [b"G", b"GET /livez HTTP/1.1\r\n", get()[:-2], HEAD],
    ids=["method", "line", "all-but-the-end", "post"],
)
async def test_a_header_that_stops(hasty: Served, start: bytes) -> None:
    (await exchange(hasty.server.port, start)).problem(408, "request-timeout")


async def test_a_header_that_trickles(hasty: Served) -> None:
    """However steadily: the time is for all of it."""
    async with connected(hasty.server.port) as line:
        sending = asyncio.create_task(line.trickle(stuttering(get(b"/livez", b"A: " + b"b" * 400)), 0.02))
        (await line.last()).problem(408, "request-timeout")
        assert not await sending


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"Content-Length: 100\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n" + TEXT,
        CHUNKED,
        CHUNKED + chunk(TEXT),
        CHUNKED + chunk(TEXT) + b"0\r\nA: b",
        HEAD + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    ],
    ids=["nothing", "a part", "no chunk", "no last chunk", "no end of trailers", "expecting"],
)
async def test_a_body_that_stops(hasty: Served, start: bytes) -> None:
    before = (await hasty.client.get("/v1/boards")).json()["items"]
    async with connected(hasty.server.port) as line:
        await line.send(start)
        if b"Expect" in start:
            assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        (await line.last()).problem(408, "request-timeout")
    assert (await hasty.client.get("/v1/boards")).json()["items"] == before


async def test_a_body_that_trickles(hasty: Served) -> None:
    """A byte now and then is not enough to keep a connection."""
    body = b'{"text": "%b"}' % (b"a" * 500)
    async with connected(hasty.server.port) as line:
        await line.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        sending = asyncio.create_task(line.trickle(stuttering(body), 0.02))
        (await line.last()).problem(408, "request-timeout")
        assert not await sending


async def test_a_slow_but_steady_upload_lives(hasty: Served) -> None:
    """For many times as long as a client may be silent."""
    body = b'{"text": "%b"}' % (b"a" * 40_000)
    async with connected(hasty.server.port) as line:
        await line.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        assert await line.trickle(stuttering(body, 1000), 0.04)
        assert (await line.reply()).status == 202


async def test_who_is_not_answered_yet_is_not_slow(hasty: Served) -> None:
    """A long poll, and a stream: the client has nothing more to send."""
    board = await hasty.submit()
    async with connected(hasty.server.port) as line:
        await line.send(get(b"/v1/boards/%b/events" % board.encode()))
        await line.reader.readuntil(b"board.created")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await line.reader.readuntil(b"HTTP/1.1 408")


async def test_idle_connections_are_closed(hasty: Served) -> None:
    async with connected(hasty.server.port) as line:
        assert await line.reader.read() == b"", "nothing was asked"
    async with connected(hasty.server.port) as line:
        await line.send(get())
        assert (await line.reply()).status == 200
        assert await line.reader.read() == b"", "nothing more was asked"
    async with connected(hasty.server.port) as line:
        assert not await line.trickle([b"\r\n"] * 200, 0.02), "blank lines are nothing"


async def test_an_answer_given_before_the_body_came(served: Served) -> None:
    """It is seen whole, though the client goes on sending for a while."""
    head = b"POST /v1/nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\n\r\n"
    async with connected(served.server.port) as line:
        await line.send(head, b"x" * 1_500_000)
        (await line.reply()).problem(404, "not-found")
        await line.send(b"x" * 1_500_000, get())
        assert (await line.reply()).status == 200, "the connection is good for the next request"
    async with connected(served.server.port) as line:
        await line.send(HEAD + b"Content-Length: 3000000\r\n\r\n")
        reply = await line.reply()
        reply.problem(413, "content-too-large")
        assert reply.headers["connection"] == "close"
        await line.send(b"x" * 1_500_000)
        assert await line.reader.read() == b""


async def test_more_connections_than_there_may_be() -> None:
    async with serving(MemoryStore(Blobs.at("memory://")), http_connections=3) as served:
        port = served.server.port
        async with connected(port) as one, connected(port) as two, connected(port) as three:
            for line in (one, two, three):
                await line.send(get())
                assert (await line.reply()).status == 200
            reply = await exchange(port)
            reply.problem(503, "too-many-connections")
            assert reply.headers["retry-after"] == "1"
            await one.send(get())
            assert (await one.reply()).status == 200, "those that are there are served on"
        while (reply := await _asked(port)).status == 503:
            await asyncio.sleep(0.01)
        assert reply.status == 200


async def _asked(port: int) -> Reply:
    async with connected(port) as line:
        await line.send(get())
        return await line.reply()


async def test_a_client_that_does_not_read_is_given_up() -> None:
    async with serving(MemoryStore(Blobs.at("memory://")), http_write_s=0.2) as served:
        place = f"/v1/boards/{await served.submit()}/entries/page/0001"
        page = {"number": 1, "text": "a" * 1_000_000}
        assert (await served.client.put(place, json=page, headers={"If-None-Match": "*"})).status_code == 201
        connections = served.server.server_state.connections
        before = set(connections)
        async with connected(served.server.port) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await line.send(get(place.encode()) * 20)
            while not connections - before:
                await asyncio.sleep(0.01)
            while connections - before:
                await asyncio.sleep(0.01)
