"""kill -9 around the end of boards and in mid-delivery: every end is told, under one id for each."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.events import ENDED
from blackboard.store import open_store
from controller.sealing import sealer_of
from controller.webhooks.interest import Interest
from controller.webhooks.registry import Webhooks
from controller.webhooks.storage import HookStore
from tests.fleet import Process, ended, submit, until
from tests.receiver import Reply, receiving

BOARDS = 3


class Anything:
    """Lets every address pass: the controller's own check is the one that counts."""

    def check(self, url: str) -> None:
        """Fine."""


async def trial(directory: Path, seed: int) -> None:
    """The controller is killed at a random moment after the first end, and once more while it delivers."""
    chance = random.Random(seed)
    server = await start_server(directory)
    store = await open_store(server.url, Blobs.at(str(directory / "blobs")))
    hooks = HookStore(store.line(0))
    registry = Webhooks(hooks, sealer_of("", "", directory), Interest(hooks), Anything())
    more = {"BLACKBOARD_EGRESS_ALLOW": "127.0.0.0/8", "BLACKBOARD_WEBHOOK_PACE": "0.01"}
    async with receiving() as receiver:
        told = await registry.create("acme", receiver.url())
        receiver.replies["/hook"].append(Reply(hang=True))
        fleet = {role: Process(role, url=server.url, data=directory, **more) for role in ("controller", "worker")}
        try:
            boards = [await submit(store) for _ in range(BOARDS)]

            async def one_has_ended() -> bool:
                heads = [await store.head(board) or {} for board in boards]
                return any(head.get("status") in ENDED for head in heads)

            async def first_came() -> bool:
                return bool(receiver.got)

            for moment in (one_has_ended, first_came):
                await until(moment, 30)
                await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.2))))
                fleet["controller"].kill()
                fleet["controller"] = Process("controller", url=server.url, data=directory, **more)
            for board in boards:
                await ended(store, board)

            async def all_told() -> bool:
                made, _ = await registry.deliveries("acme", told.webhook.id)
                return len(made) == BOARDS and all(each.status == "delivered" for each in made)

            await until(all_told, 40)
            ids = {one.id: one.json["data"]["board"] for one in receiver.got}
            assert sorted(ids.values()) == sorted(boards), "each end is told, whatever came twice, under one id"
            rows = [await store.due(partition) for partition in range(store.partitions)]
            assert not any(row.name.startswith("announce") for _, found in rows for row in found)
        finally:
            for process in fleet.values():
                process.kill()
            await store.close()
            await server.stop()


@pytest.mark.long
async def test_a_killed_controller_leaves_no_end_untold(tmp_path: Path) -> None:
    await trial(tmp_path, 1)


@pytest.mark.faults
@pytest.mark.timeout(1800)
async def test_many_killed_controllers_leave_no_end_untold(tmp_path: Path) -> None:
    for seed in range(int(os.environ.get("BLACKBOARD_KILLS", "20"))):
        await trial(tmp_path / str(seed), seed)
