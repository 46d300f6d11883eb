"""Connections cut at a script: nothing is lost, nothing happens twice, whichever step's outcome stays unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blackboard import doors
from blackboard.blobs import Blobs
from blackboard.embedded import Server
from blackboard.store import open_store
from controller.bootstrap import open_service
from controller.queue import ENQUEUE, POP
from controller.settings import Settings
from tests.faults.proxy import Mode, Proxy
from tests.fleet import PAGES, SOURCES, ended, promises, submit

SCRIPTS = {"commit": doors.COMMIT, "claim": doors.CLAIM, "renew": doors.RENEW, "enqueue": ENQUEUE, "pop": POP}


async def trial(server: Server, directory: Path, script: str, mode: Mode, times: int) -> None:
    """A board while connections are cut at one script."""
    socket = directory / "p.sock"
    socket.unlink(missing_ok=True)
    store = await open_store(server.url, Blobs.at("memory://"))
    async with Proxy(socket, server.socket) as proxy:
        settings = Settings(
            redis_url=proxy.url,
            data_dir=directory,
            lease_s=3,
            sweep_s=0.5,
            check_s=1,
            wake_grace_s=1,
            backoff_s=0.1,
            poll_s=0.2,
        )
        # Apart, as in two processes: what a worker beside its controller is handed never passes through a queue.
        async with (
            open_service(settings, roles=frozenset({"controller"}), sources=SOURCES),
            open_service(settings, roles=frozenset({"worker"}), sources=SOURCES),
        ):
            proxy.cut(SCRIPTS[script].sha.encode(), mode, times)
            board = await submit(store)
            head = await ended(store, board)
        assert head["status"] == "completed", head
        runs = await promises(store, board)
        assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
        assert proxy.cuts or script == "renew", "the cut never happened"
    await store.close()


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_one_cut(redis_url: str, server: Server, tmp_path: Path, script: str, mode: Mode) -> None:
    await trial(server, tmp_path, script, mode, 1)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_many_cuts(redis_url: str, server: Server, tmp_path: Path, script: str, mode: Mode) -> None:
    for times in range(int(os.environ.get("BLACKBOARD_CUTS", "20"))):
        await trial(server, tmp_path, script, mode, 1 + times % 4)
