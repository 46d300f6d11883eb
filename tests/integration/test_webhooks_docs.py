"""The page on webhooks says what the code does: its receiver runs, its tables are the real ones."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from controller.webhooks.records import EVENTS, TEST
from controller.webhooks.schedule import WAITS_S
from tests.fleet import until
from tests.integration.doors import V1, door

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.long
async def test_the_receiver_verifies_what_is_sent(redis_url: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "receiver.py").write_text(code)
    port = free_port()
    allowed = ("127.0.0.0/8",)
    async with door(redis_url, tmp_path, *V1, roles="api controller worker", egress_allow=allowed) as served:
        hook = (await served.client.post("/v1/webhooks", json={"url": f"http://127.0.0.1:{port}/hook"})).json()
        environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": hook["secret"]}
        receiver = await asyncio.create_subprocess_exec(
            sys.executable, "receiver.py", cwd=tmp_path, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:

            async def listens() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            await until(listens)
            board = await served.submit()
            assert receiver.stdout is not None
            line = (await asyncio.wait_for(receiver.stdout.readline(), 15)).decode()
            assert line.startswith("board.completed ") and board in line

            async def delivered() -> bool:
                page = await served.get(f"/v1/webhooks/{hook['id']}/deliveries")
                return bool(page["items"][0]["status"] == "delivered")

            await until(delivered)
        finally:
            receiver.kill()
            await receiver.wait()


def test_the_message_and_the_tables_are_the_real_ones() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.S)
    assert json.loads(example)["data"].keys() == {"board", "status", "revision", "slug", "partial", "links"}
    named = set(re.findall(r"`((?:board|webhook)\.[a-z]+)`", PAGE))
    assert named == {*EVENTS, TEST}
    assert len(WAITS_S) == 10 and sum(WAITS_S) == pytest.approx(75.6 * 3600, rel=0.001)
