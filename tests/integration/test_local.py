"""Before there is a key: programs of this machine are answered, pages in its browsers are not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blackboard.errors import UsageError
from controller.commands.service import _check_address
from controller.http.local import is_local, is_local_host
from tests.integration.doors import V1, Door, door


@pytest.fixture
async def service(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """A service without a key."""
    async with door(redis_url, tmp_path, *V1, roles="") as opened:
        yield opened


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "127.8.9.1", "[::1]:80", "app.localhost"]
)
def test_names_of_this_machine(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "0.0.0.0", "10.0.0.1",
        "[::]", "[::ffff:10.0.0.1]", "127.1", "2130706433", "localhost@evil.example", "localhost/", "localhost:x", "::1",
    ],
)  # fmt: skip
def test_other_names(host: str) -> None:
    assert not is_local_host(host)


def test_addresses() -> None:
    assert is_local("::ffff:127.0.0.1")
    assert not is_local("192.168.1.1")


async def test_a_page_whose_name_was_pointed_here_is_not_answered(service: Door) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        for method, path in (("GET", "/v1/boards"), ("POST", "/v1/documents"), ("GET", "/v1/boards/x/events")):
            answer = await service.client.request(method, path, headers={"host": host})
            assert answer.status_code == 421, (host, path)
            assert answer.json()["type"].endswith("/problems/host-not-allowed")
    assert (await service.client.get("/v1/boards", headers={"host": "localhost"})).status_code == 200


async def test_what_came_through_a_proxy_is_not_from_this_machine(service: Door) -> None:
    for name, value in (("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=203.0.113.1"), ("via", "1.1 proxy")):
        answer = await service.client.get("/v1/boards", headers={name: value})
        assert (answer.status_code, "proxy" in answer.json()["detail"]) == (421, True)


async def test_a_page_of_another_site_cannot_write(service: Door) -> None:
    body = {"text": "x"}
    for origin in ("https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1"):
        answer = await service.client.post("/v1/documents", json=body, headers={"origin": origin})
        assert answer.status_code == 403, origin
        assert answer.json()["type"].endswith("/problems/origin-not-allowed")
    crossing = await service.client.post("/v1/documents", json=body, headers={"sec-fetch-site": "cross-site"})
    assert crossing.status_code == 403
    assert (await service.client.get("/v1/boards")).json()["items"] == []
    own = {"origin": service.base, "sec-fetch-site": "same-origin"}
    assert (await service.client.post("/v1/documents", json=body, headers=own)).status_code == 202


async def test_with_keys_any_name_will_do(service: Door) -> None:
    _, secret = await service.service.keyring.create("k", tenant="default", scopes=["read", "submit"], by="test")
    headers = {"authorization": f"Bearer {secret}", "host": "board.example", "origin": "https://app.example"}
    assert (await service.client.post("/v1/documents", json={"text": "x"}, headers=headers)).status_code == 202


async def test_a_request_must_name_one_host(service: Door) -> None:
    port = int(service.base.rpartition(":")[2])
    for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.setblocking(False)
            answer = await _exchange(raw, b"GET /v1/boards HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
        assert answer.split(b" ")[1] in (b"400", b"421"), answer


async def _exchange(raw: socket.socket, sent: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, sent)
    return await loop.sock_recv(raw, 4096)


async def test_without_a_key_it_listens_to_this_machine_alone(service: Door) -> None:
    running = service.service

    async def check(**settings: Any) -> None:
        running.settings = running.settings.model_copy(update=settings)
        await _check_address(running)

    for host in ("0.0.0.0", "::", "192.0.2.1", "board.example", ""):
        with pytest.raises(UsageError, match="no key yet") as refused:
            await check(host=host)
        assert "blackboard keys create" in refused.value.hint
    for host in ("127.0.0.1", "localhost", "::1"):
        await check(host=host)
    with pytest.raises(UsageError, match="is no key"):
        await check(host="0.0.0.0", first_key=SecretStr("secret"))
    first = f"bb_first_{'a1' * 20}"
    await check(host="0.0.0.0", first_key=SecretStr(first))
    assert (await service.client.get("/v1/boards", headers={"authorization": f"Bearer {first}"})).status_code == 200
    assert (await service.client.get("/v1/boards")).status_code == 401
