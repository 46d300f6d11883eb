"""Where the service goes when somebody else names the address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from blackboard.egress import Address, Egress, EgressFailed, EgressTooLarge
from blackboard.errors import UrlNotAllowed, UsageError

BLOCKED = """
http://example.com/
ftp://example.com/
file:///etc/passwd
gopher://example.com:443/_x
data:text/plain,x
https://
https:///path
//example.com/
example.com
https://127.0.0.1/
https://127.1/
https://127.0.0.1./
https://2130706433/
https://0x7f.1/
https://0x7f000001/
https://0177.0.0.1/
https://0/
https://0.0.0.0/
https://10.1.2.3/
https://172.16.0.1/
https://192.168.1.1/
https://169.254.169.254/latest/meta-data/
https://100.64.0.1/
https://192.0.0.8/
https://198.18.0.1/
https://224.0.0.1/
https://255.255.255.255/
https://[::1]/
https://[::]/
https://[::ffff:10.0.0.1]/
https://[::ffff:7f00:1]/
https://[64:ff9b::7f00:1]/
https://[2002:7f00:1::]/
https://[2001::1]/
https://[fe80::1]/
https://[fe80::1%25eth0]/
https://[fc00::1]/
https://[fec0::1]/
https://[ff0e::1]/
https://localhost/
https://LOCALHOST./
https://a.localhost/
https://printer.local/
https://db.internal/
https://redis/
https://user@example.com/
https://user:word@example.com/
https://example.com@127.0.0.1/
https://example.com:22/
https://example.com:80/
https://example.com:6379/
https://example.com:99999/
https://①②⑦.⓪.⓪.①/
https://127。0。0。1/
https://ex%61mple.com/
https://exa mple.com/
https://example.com\\@127.0.0.1/
https://-a.example.com/
https://a..example.com/
""".strip("\n").splitlines()
FINE = (
    "https://example.com",
    "https://example.com/a/b?c=d#e",
    "https://EXAMPLE.com:8443/",
    "https://bücher.example/x",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]:443/",
)


@pytest.mark.parametrize("url", BLOCKED)
def test_refused_by_its_looks(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        Egress().check(url)


@pytest.mark.parametrize("url", [*FINE, "https://example.com/" + "a" * 2000])
def test_allowed_by_its_looks(url: str) -> None:
    Egress().check(url)


def test_too_long() -> None:
    with pytest.raises(UrlNotAllowed):
        Egress().check("https://example.com/" + "a" * 2050)


def test_a_range_that_is_none() -> None:
    with pytest.raises(UsageError):
        Egress(["10.0.0.1/8"])


class Listener:
    """A server that counts connections and answers what it is told to."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.connections, self.requests = answer, 0, b""
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        received = b""
        while b"\r\n\r\n" not in received and not received.startswith(b"\x16"):  # TLS begins like that
            received += await reader.read(1 << 16)
        self.requests += received
        writer.write(self.answer)
        if not self.answer:
            await reader.read()  # says nothing until the client goes
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def listener(answer: bytes) -> AsyncIterator[Listener]:
    found, handling = Listener(answer), set()

    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.create_task(found.handle(reader, writer)))

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await asyncio.gather(*handling)


def resolving(*addresses: str):
    async def resolve(host: str, port: int) -> Sequence[Address]:
        assert host == "documents.example"
        return tuple(map(ip_address, addresses))

    return resolve


HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


async def test_pinned_to_what_was_checked() -> None:
    async with listener(HELLO) as server:
        egress = Egress(["127.0.0.0/8"], resolve=resolving("127.0.0.1"))
        url = f"http://documents.example:{server.port}/a?b=c"
        async with egress.request("GET", url, headers={"x-mine": "1"}, timeout_s=10) as answer:
            body = b"".join([chunk async for chunk in answer.chunks(100)])
        assert (answer.status, body, answer.headers["content-type"]) == (200, b"hello", "text/plain")
        assert server.requests.startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert f"host: documents.example:{server.port}".encode() in server.requests.lower()
        assert b"accept-encoding: identity" in server.requests.lower()


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_a_name_that_leads_inside_is_not_connected_to(addresses: list[str]) -> None:
    async with listener(HELLO) as server:
        # Even where some private network is allowed: this one is not.
        for egress in (Egress(resolve=resolving(*addresses)), Egress(["10.0.0.0/8"], resolve=resolving(*addresses))):
            with pytest.raises(UrlNotAllowed) as raised:
                async with egress.request("GET", "https://documents.example:8443/", timeout_s=10):
                    raise AssertionError("it was connected")
            assert "127" not in str(raised.value)
        assert server.connections == 0


async def test_plain_http_goes_to_allowed_networks_alone() -> None:
    egress = Egress(["10.0.0.0/8"], resolve=resolving("93.184.216.34"))
    for url in ("http://documents.example/", "https://documents.example:22/"):
        with pytest.raises(UrlNotAllowed):
            async with egress.request("GET", url, timeout_s=10):
                raise AssertionError("it was connected")


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    answered = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with listener(answered) as server:
        url = f"http://127.0.0.1:{server.port}/"
        async with Egress(["127.0.0.1"]).request("GET", url, timeout_s=10) as answer:
            assert answer.status == 302
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"a" * 50, EgressTooLarge),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", EgressFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf", EgressFailed),
        (b"no http at all\r\n\r\n", EgressFailed),
    ],
)
async def test_answers_of_no_use(answered: bytes, kind: type[EgressFailed]) -> None:
    async with listener(answered) as server:
        with pytest.raises(kind):
            url = f"http://127.0.0.1:{server.port}/"
            async with Egress(["127.0.0.1"]).request("GET", url, timeout_s=10) as answer:
                async for _ in answer.chunks(20):
                    pass


async def test_silence_ends() -> None:
    async with listener(b"") as server:
        with pytest.raises(EgressFailed) as raised:
            async with Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{server.port}/", timeout_s=0.2):
                raise AssertionError("it answered")
        assert raised.value.timed_out


async def test_nobody_there_and_no_such_name() -> None:
    async with listener(HELLO) as server:
        port = server.port
    with pytest.raises(EgressFailed):
        async with Egress(["127.0.0.1"]).request("GET", f"http://127.0.0.1:{port}/", timeout_s=10):
            raise AssertionError("it answered")

    async def nothing(host: str, port: int) -> Sequence[Address]:
        raise OSError("no such name")

    with pytest.raises(EgressFailed):
        async with Egress(resolve=nothing).request("GET", "https://documents.example/", timeout_s=10):
            raise AssertionError("it answered")


async def test_a_certificate_of_somebody_else_is_refused() -> None:
    """Nothing but TLS is spoken to an https address, and what is no TLS is no answer."""
    async with listener(HELLO) as server:
        egress = Egress(["127.0.0.1"], resolve=resolving("127.0.0.1"))
        with pytest.raises(EgressFailed):
            async with egress.request("GET", f"https://documents.example:{server.port}/", timeout_s=5):
                raise AssertionError("it answered")
