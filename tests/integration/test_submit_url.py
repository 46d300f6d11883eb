"""Documents submitted as addresses: fetched by a worker, as if they had been sent along; and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest

from blackboard.blobs import Blobs
from blackboard.contract import Source
from blackboard.downloads import Downloads
from blackboard.egress import Address as NetAddress
from blackboard.egress import Egress
from blackboard.memory import MemoryStore
from controller.choice import begin_with
from knowledge_sources.fetch import fetch
from tests.integration.doors import Door, count, door, lines, years
from tests.integration.serving import serving

SOURCES = (fetch, lines, years, count)
ALLOWED = ("127.0.0.1/32",)
TEXT = b"one of 2024\ntwo of 2025"


@dataclass
class Documents:
    """A server that says what it is told to."""

    base: str = ""
    status: str = "200 OK"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = TEXT
    asked: list[str] = field(default_factory=list)
    failing: int = 0
    """Requests that are answered 503 before."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(request.decode().partition("\r\n")[0])
        status, body = self.status, self.body
        if len(self.asked) <= self.failing:
            status, body = "503 Service Unavailable", b""
        fields = {"Connection": "close", **self.headers}
        if "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(documents: Documents) -> AsyncIterator[Documents]:
    server = await asyncio.start_server(documents.serve, "127.0.0.1", 0)
    documents.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield documents


@pytest.fixture
async def documents() -> AsyncIterator[Documents]:
    async with listening(Documents()) as documents:
        yield documents


@pytest.fixture
async def opened(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    async with door(redis_url, tmp_path, *SOURCES, roles="controller worker", egress_allow=ALLOWED) as opened:
        yield opened


async def submit(opened: Door, url: str, **options: Any) -> str:
    answer = await opened.client.post("/v1/documents", json={"url": url, **options})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def ended(opened: Door, url: str, **options: Any) -> dict[str, Any]:
    return await opened.ended(await submit(opened, url, **options))


async def test_as_if_it_had_been_sent_along(opened: Door, documents: Documents) -> None:
    documents.headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": "attachment; filename*=UTF-8''../Jahre%20%C3%BC.txt",
    }
    url = f"{documents.base}/a/years.txt?token=x"
    board = await ended(opened, url)
    assert board["status"] == "completed", board
    assert await opened.values(board["id"], "sum") == {"sum/board-1": {"years": 2, "by": "1"}}
    assert await opened.values(board["id"], "address") == {"address/original": {"url": url, "filename": None}}
    assert await opened.values(board["id"], "upload") == {
        "upload/original": {
            "sha256": hashlib.sha256(TEXT).hexdigest(), "size": len(TEXT), "filename": "Jahre ü.txt",
            "declared_type": "text/plain; charset=utf-8",
        }
    }  # fmt: skip
    assert documents.asked == ["GET /a/years.txt?token=x HTTP/1.1"]
    # The bytes are the board's own now: kept for as long as it is, and to be read through it.
    sha256 = hashlib.sha256(TEXT).hexdigest()
    content = await opened.client.get(f"/v1/blobs/{sha256}", params={"board": board["id"]})
    assert (content.status_code, content.content) == (200, TEXT)


async def test_people_change_neither_the_address_nor_what_was_fetched(opened: Door, documents: Documents) -> None:
    documents.failing = 1000
    board = await submit(opened, f"{documents.base}/a")
    removed = await opened.client.delete(f"/v1/boards/{board}/entries/address/original", headers={"If-Match": '"1"'})
    assert removed.status_code == 422
    for key, headers in (("address", {"If-Match": '"1"'}), ("upload", {"If-None-Match": "*"})):
        body = {"value": {"url": "https://example.com"}}
        put = await opened.client.put(f"/v1/boards/{board}/entries/{key}/original", json=body, headers=headers)
        assert put.status_code == 422


async def test_a_name_of_the_submitter_s_own_and_named_sources(opened: Door, documents: Documents) -> None:
    board = await ended(opened, f"{documents.base}/%2e%2e%2fodd", filename="mine.txt", sources=["lines", "years"])
    assert board["sources"] == {"fetch": "1", "lines": "1", "years": "1"}
    assert board["filename"] == "mine.txt"
    assert (await opened.values(board["id"], "upload"))["upload/original"]["filename"] == "mine.txt"
    assert (await ended(opened, f"{documents.base}/", goal=["upload"]))["status"] == "completed"


async def test_it_is_not_there_where_a_document_was_sent(opened: Door) -> None:
    board = await opened.ended(await opened.submit())
    assert set(board["sources"]) == {"lines", "years", "count"}
    assert {row["source"] for row in (await opened.get(f"/v1/boards/{board['id']}/why"))["reasons"]} & {
        "fetch"
    } == set()
    assert "fetch" not in begin_with(SOURCES)


async def test_what_passes_is_tried_again(opened: Door, documents: Documents) -> None:
    documents.failing = 2
    assert (await ended(opened, f"{documents.base}/a"))["status"] == "completed"
    assert len(documents.asked) == 3


async def test_what_stays_ends_the_board_and_can_be_retried(opened: Door, documents: Documents) -> None:
    documents.status = "404 Not Found"
    board = await ended(opened, f"{documents.base}/a")
    assert (board["status"], board["outcome"]["slug"], board["outcome"]["source"]) == (
        "failed",
        "source-failed",
        "fetch",
    )
    assert "answered 404" in board["outcome"]["reason"]
    assert len(documents.asked) == 1
    documents.status = "200 OK"
    answer = await opened.client.post(f"/v1/boards/{board['id']}/retry")
    assert (await opened.ended(answer.json()["id"]))["status"] == "completed"


async def test_what_goes_on_fetches_it_no_second_time_unless_from_before(opened: Door, documents: Documents) -> None:
    board = (await ended(opened, f"{documents.base}/a"))["id"]
    for options, asked in (({}, 1), ({"at": 1}, 2)):
        fork = await opened.client.post(f"/v1/boards/{board}/fork", json=options)
        assert fork.status_code == 202, fork.text
        assert (await opened.ended(fork.json()["id"]))["status"] == "completed"
        assert len(documents.asked) == asked


async def test_a_redirect_is_not_followed(opened: Door, documents: Documents) -> None:
    documents.status, documents.headers = "302 Found", {"Location": f"{documents.base}/inside"}
    board = await ended(opened, f"{documents.base}/a")
    assert (board["status"], board["outcome"]["slug"]) == ("failed", "url-not-allowed")
    assert board["problem"]["type"] == "/problems/url-not-allowed"
    assert documents.asked == ["GET /a HTTP/1.1"]


async def test_more_than_may_be_uploaded(redis_url: str, tmp_path: Path, documents: Documents) -> None:
    more = {"egress_allow": ALLOWED, "max_upload_bytes": 1000}
    async with door(redis_url, tmp_path, *SOURCES, roles="controller worker", **more) as opened:
        documents.body = b"x" * 1001
        board = await ended(opened, f"{documents.base}/a")
        assert (board["status"], board["outcome"]["slug"]) == ("failed", "document-too-complex")
        # Announced or not.
        documents.headers = {"Transfer-Encoding": "chunked"}
        documents.body = b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
        board = await ended(opened, f"{documents.base}/a")
        assert (board["status"], board["outcome"]["slug"]) == ("failed", "document-too-complex")
    incoming = tmp_path / "blobs" / "incoming"
    assert not incoming.is_dir() or not list(incoming.iterdir())


class Names:
    """A resolver for names that changes its mind."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[NetAddress]:
        self.asked.append(host)
        return [ip_address(address) for address in self.answers.pop(0).split()]


def resolving(names: Names, blobs: Blobs, client: httpx2.AsyncClient | None = None) -> Source:
    """`fetch` with a resolver of its own."""

    async def fetching(**given: Any) -> Any:
        egress = Egress(resolve=names, client=client)
        given["downloads"] = Downloads(egress, blobs, most_bytes=1000, timeout_s=5)
        return await fetch.function(**given)

    return replace(fetch, function=fetching)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "93.184.216.34 ::1"],
)
async def test_a_name_that_leads_inside_is_refused_without_a_connection(
    redis_url: str, tmp_path: Path, address: str
) -> None:
    names = Names(address)
    connected: list[Any] = []

    def note(request: httpx2.Request) -> httpx2.Response:
        connected.append(request.url)
        return httpx2.Response(200, content=b"secret")

    with socket.socket() as inside:
        # Whoever went to that name after all would come out here.
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        inside.setblocking(False)
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(note)) as client:
            source = resolving(names, Blobs.at(tmp_path / "blobs"), client)
            async with door(redis_url, tmp_path, source, lines, roles="controller worker") as opened:
                board = await ended(opened, "https://documents.example.com/a.txt")
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert (board["status"], board["outcome"]["slug"]) == ("failed", "url-not-allowed")
    assert address not in str(board)
    assert names.asked == ["documents.example.com"]
    assert connected == []


async def test_by_its_real_way_out_nothing_reaches_a_port_on_this_machine(redis_url: str, tmp_path: Path) -> None:
    """Without a transport of its own: the connection that is not made would be a real one."""
    with socket.socket() as inside:
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            inside.bind(("127.0.0.1", 8443))
        except OSError:
            pytest.skip("somebody listens on port 8443 of this machine")
        inside.listen()
        inside.setblocking(False)
        # The first answer was good; the name is looked up once for each try, and leads inside the second time.
        names = Names("127.0.0.1", "127.0.0.1")
        source = resolving(names, Blobs.at(tmp_path / "blobs"))
        async with door(redis_url, tmp_path, source, lines, roles="controller worker") as opened:
            board = await ended(opened, "https://documents.example.com:8443/a.txt")
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert board["outcome"]["slug"] == "url-not-allowed"


REFUSED = (
    "http://example.com/", "ftp://example.com/a", "file:///etc/passwd", "gopher://example.com/", "https://127.0.0.1/",
    "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://2130706433/",
    "https://0x7f.1/", "https://localhost./", "https://user:pw@example.com/", "https://example.com:22/", "https://", "x",
    "https://example.com/" + "a" * 2040,
)  # fmt: skip


async def test_what_can_be_refused_at_once(memory_store: MemoryStore) -> None:
    async with serving(memory_store) as served:
        served.service.desk.know((*served.service.sources, fetch))
        for url in REFUSED:
            answer = await served.client.post("/v1/documents", json={"url": url})
            said = answer.status_code, answer.json()["type"].rpartition("/")[2]
            assert said == (422, "url-not-allowed"), (url, answer.text)
            assert url not in answer.text
        for body in (
            {"url": "https://example.com/", "text": "x"},
            {"url": 7},
            {"url": "https://example.com/", "file": "x"},
            {"filename": "a.txt"},
            {"url": "https://example.com/", "sources": ["nobody"]},
        ):
            answer = await served.client.post("/v1/documents", json=body)
            said = answer.status_code, answer.json()["type"].rpartition("/")[2]
            assert said == (422, "validation-error"), (body, answer.text)
        answer = await served.client.post("/v1/documents", json={"url": "https://example.com/", "filename": "a/b"})
        assert answer.json()["type"].endswith("/problems/invalid-filename")
        assert (await served.client.get("/v1/boards")).json()["items"] == []


async def test_where_nobody_fetches_it_is_said_at_once(memory_store: MemoryStore) -> None:
    async with serving(memory_store) as served:
        answer = await served.client.post("/v1/documents", json={"url": "https://example.com/"})
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"pointer": "/url", "detail": "no source here fetches documents"}]
