"""`blackboard webhooks` against a running service, and `reseal` on its data directory."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from tests.end_to_end.command import SCRIPT, Cli, Ran
from tests.fleet import until
from tests.integration.doors import V1, door
from tests.receiver import Reply, receiving

OLD, NEW = (b64encode(bytes([number] * 32)).decode() for number in (1, 2))


@pytest.mark.long
async def test_webhooks_from_the_command_line(redis_url: str, tmp_path: Path) -> None:
    settings = {"egress_allow": ("127.0.0.0/8",), "secret_key": OLD, "webhook_pace": 0.001}
    async with (
        receiving() as receiver,
        door(redis_url, tmp_path, *V1, roles="api controller worker", **settings) as served,
    ):
        cli = Cli(tmp_path, {"BLACKBOARD_URL": served.base})

        async def run(*words: str, command: str = "webhooks", **more: str) -> Ran:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(SCRIPT), command, *words, env={**cli.environment, **more},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
            return Ran(process.returncode or 0, out.decode(), err.decode())

        made = await run("create", receiver.url(), "--events", "board.completed,board.failed")
        assert made.code == 0, made.err
        id, secret = made.out.split()
        twice = await run("create", receiver.url())
        assert (twice.code, twice.out) == (1, "") and "address already" in twice.err
        tested = await run("test", id)
        assert (tested.code, tested.err.strip()) == (0, "204")
        assert receiver.got[0].verified(secret)["type"] == "webhook.test"
        receiver.always["/hook"] = Reply(410)
        failed = await run("test", id)
        assert (failed.code, failed.err.strip()) == (1, "410 status")
        board = await served.submit()

        async def gone() -> bool:
            return not (await served.get(f"/v1/webhooks/{id}"))["enabled"]

        await until(gone)
        listed = await run("list", "--table")
        assert "disabled: the receiver answered 410 Gone" in listed.out
        shown = await run("deliveries", id, "--table")
        assert any(board in line and "failed" in line for line in shown.out.splitlines())
        receiver.always.clear()
        assert (await run("enable", id)).code == 0
        assert (await run("redeliver", id, "--since", "2026-01-01T00:00")).out == "1\n"
        assert (await run("redeliver", id)).code == 2
        turned = await run("rotate", id, "--json")
        assert turned.json()["secret"].startswith("whsec_")
        for _ in range(2):
            drawn = await run("rotate", "callbacks")
        page = tmp_path / "page.txt"
        page.write_text("one of 2024")
        sent = await run(str(page), "--callback", receiver.url("/only"), "--wait", command="submit")
        assert sent.code == 0, sent.err

        async def called() -> bool:
            return bool(receiver.at("/only"))

        await until(called)
        assert receiver.at("/only")[0].verified(drawn.out.split()[1])["data"]["board"] == sent.out.strip()
        env = {"BLACKBOARD_REDIS_URL": redis_url, "BLACKBOARD_SECRET_KEY": f"{NEW} {OLD}"}
        sealed = await run("reseal", **env)
        assert (sealed.code, sealed.out) == (0, "2\n"), sealed.err
        assert (await run("reseal", **env)).out == "0\n"
        assert (await run("delete", id)).out == f"{id}\n"
        assert (await run("delete", id)).code == 2
        away = await run("list", BLACKBOARD_URL="http://127.0.0.1:9")
        assert away.code == 3
