"""The table of bad inputs, row by row over real HTTP: each is answered exactly so, and the service stands as before.

What needs a set-up of its own is tested where that is; `ELSEWHERE` names the test, and that it is there is tested here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from blackboard import Document, Each, Source, knowledge_source
from blackboard.embedded import Server, start_server
from controller.access import SCOPES
from knowledge_sources.intake import intake
from tests.integration import refused_content as content
from tests.integration import refused_requests as requests
from tests.integration.doors import Line, door
from tests.integration.refusing import GOOD, Row, Table, bodies, problem
from tests.proxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[1]


@knowledge_source()
async def remarks(document: Each[Document]) -> list[Line]:
    """None: people may write them."""
    return []


SOURCES: tuple[Source, ...] = (intake, remarks)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def table(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Table]:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
    more: dict[str, Any] = {"max_upload_bytes": 200_000, "http_header_s": 0.5, "http_body_s": 0.5}
    async with door(server.url, tmp_path_factory.mktemp("data"), *SOURCES, roles="controller worker", **more) as found:
        ended, held = await found.submit("x"), await found.submit("x", hold="review")
        await found.ended(ended)
        _, key = await found.service.keyring.create("admin", tenant="default", scopes=sorted(SCOPES), by="person:admin")
        yield Table(found, key, ended, held)


ROWS: dict[str, Row] = {
    "01-no-json": bodies(400, "invalid-json", b"", b'{"text": "sesame-93'),
    "02-encoding": bodies(
        400, "invalid-encoding", b'{"text": "\xff\xfe"}', '{"text": "a"}'.encode("utf-16"), b"\xef\xbb\xbf" + GOOD
    ),
    "03-numbers": bodies(
        400,
        "invalid-json",
        *(b'{"text": "a", "deadline_s": %b}' % number for number in (b"NaN", b"Infinity", b"1e400", b"9" * 5000)),
    ),
    "04-lone-surrogate": bodies(400, "invalid-unicode", b'{"text": "\\ud800"}', b'{"text": "a\\u0000"}'),
    "05-duplicate-member": bodies(400, "duplicate-member", b'{"text": "a", "text": "b"}'),
    "06-depth": bodies(400, "json-too-deep", b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", b"[" * 100_000),
    "07-content": content.invalid_content,
    "08-media-type": content.media_types,
    "09-content-encoding": content.codings,
    "10-too-large": content.too_large,
    "11-magic": content.wrong_magic,
    "12-filename": content.filenames,
    "13-unreadable": content.unreadable,
    "14-too-complex": content.too_complex,
    "15-unsafe": content.unsafe,
    "16-address": content.addresses,
    "18-keys": requests.keys,
    "19-ids": requests.foreign_ids,
    "20-preconditions": requests.preconditions,
    "21-idempotency": requests.repeated,
    "22-parameters": requests.parameters,
    "23-rate": requests.too_many_requests,
    "24-last-event-id": requests.resuming,
    "25-too-late": requests.too_late,
    "26-two-framings": requests.two_framings,
    "27-large-headers": requests.large_headers,
    "28-slowness": requests.slowness,
    "29-method-and-path": requests.wrong_ways,
    "31-webhooks": requests.webhooks,
}
ELSEWHERE = {
    "17-private-when-fetched": ("integration/test_submit_url.py", "test_a_name_that_leads_inside_is_refused"),
    "17-redirect": ("integration/test_submit_url.py", "test_a_redirect_is_not_followed"),
    "17-webhook": ("integration/test_webhooks_kept.py", "test_a_name_that_leads_inside_is_blocked"),
    "23-budget": ("integration/test_room.py", "test_tokens_of_the_day"),
    "23-overloaded": ("integration/test_room.py", "test_too_much_waits"),
    "25-lease-lost": ("integration/test_remote.py", "fenced"),
    "30-not-durable": ("integration/test_durable.py", "test_what_no_replica_has_is_not_acknowledged"),
    "32-output-of-plug-ins": ("integration/test_isolation.py", "async def test_"),
    "33-replay": ("unit/test_replay.py", "test_a_gap_and_a_record_behind_the_end_are_refused"),
}


@pytest.mark.parametrize("row", ROWS)
async def test_row(table: Table, row: str) -> None:
    await ROWS[row](table)
    live = await table.door.client.get("/livez")
    assert live.json() == {"status": "ok"}


@pytest.mark.parametrize("row", ELSEWHERE)
async def test_rows_that_are_tested_elsewhere(row: str) -> None:
    path, name = ELSEWHERE[row]
    assert name in (ROOT / path).read_text(encoding="utf-8")


async def test_every_row_is_here() -> None:
    assert {int(row[:2]) for row in (*ROWS, *ELSEWHERE)} | {30} == set(range(1, 34))


async def test_row_30_storage(tmp_path: Path) -> None:
    """Full, away, and well again: with a real server behind a door that can be shut."""
    server = await start_server(tmp_path / "server")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        await _out_of_order(server, tmp_path)


async def _out_of_order(server: Server, tmp_path: Path) -> None:
    async with (
        Redis.from_url(server.url) as direct,
        Proxy(server.url, tmp_path / "proxy.sock") as proxy,
        door(proxy.url, tmp_path / "data", *SOURCES, roles="controller") as found,
    ):
        await direct.config_set("maxmemory", "1")
        try:
            while (answer := await found.client.post("/v1/documents", json={"text": "a"})).status_code != 503:
                await asyncio.sleep(0.02)
            problem(answer, 503, "storage-full")
            assert int(answer.headers["retry-after"]) > 0
        finally:
            await direct.config_set("maxmemory", "0")
        await proxy.cut(refuse=True)
        for method, path in (("GET", "/v1/boards"), ("POST", "/v1/documents")):
            answer = await found.client.request(method, path, json={"text": "a"} if method == "POST" else None)
            problem(answer, 503, "storage-unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert (await found.client.get("/livez")).status_code == 200
        proxy.heal()
        while (await found.client.post("/v1/documents", json={"text": "a"})).status_code != 202:
            await asyncio.sleep(0.05)
