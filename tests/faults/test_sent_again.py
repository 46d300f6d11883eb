"""Services that are killed while clients send documents with keys, and send them again: one board for each key."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end.command import Cli

CLIENTS, EACH, KILLS = 8, 25, 2


async def send(http: httpx2.AsyncClient, base: list[str], key: str) -> dict[str, object]:
    """Until there is an answer."""
    while True:
        with contextlib.suppress(httpx2.TransportError):
            headers = {"Idempotency-Key": f'"{key}"'}
            answer = await http.post(f"{base[0]}/v1/documents", json={"text": key}, headers=headers)
            if answer.status_code == 202:
                return dict(answer.json())
            assert answer.status_code in (409, 503), answer.text
        await asyncio.sleep(random.uniform(0.01, 0.1))


@pytest.mark.faults
@pytest.mark.timeout(90)
def test_one_board_for_each_key(redis_url: str, tmp_path: Path) -> None:
    asyncio.run(_campaign(redis_url, tmp_path))


async def _campaign(redis_url: str, tmp_path: Path) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        await _kill_under(http, redis_url, tmp_path)


async def _kill_under(http: httpx2.AsyncClient, redis_url: str, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data", {"BLACKBOARD_REDIS_URL": redis_url, "BLACKBOARD_PORT": "0"})
    base = ["http://127.0.0.1:1"]
    made: dict[str, dict[str, object]] = {}

    async def client(number: int) -> None:
        for each in range(EACH):
            key = f"{number}-{each}"
            made[key] = await send(http, base, key)

    clients = asyncio.gather(*map(client, range(CLIENTS)))
    for kill in range(KILLS + 1):
        with cli.running("serve") as service:
            base[0] = await asyncio.to_thread(lambda: service.url)
            if kill == KILLS:
                await clients
                listed = (await http.get(f"{base[0]}/v1/boards", params={"limit": "200"})).json()
                assert listed["next_cursor"] is None
                again = [await send(http, base, key) for key in random.sample(sorted(made), 20)]
            else:
                enough = len(made) + CLIENTS * EACH // (KILLS + 2)
                while len(made) < enough:
                    await asyncio.sleep(0.005)
                service.process.kill()
    assert len(made) == CLIENTS * EACH
    assert sorted(str(board["id"]) for board in listed["items"]) == sorted(str(board["id"]) for board in made.values())
    assert all(board in made.values() for board in again)
