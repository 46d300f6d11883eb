"""The whole service with its boards on a three-node cluster and arq's queues on a server of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackboard.embedded import Server
from controller.bootstrap import open_service
from controller.readiness import examine
from controller.settings import Settings
from tests.fleet import PAGES, SOURCES, ended, promises, submit
from tests.integration.elsewhere import door


@pytest.mark.cluster
async def test_boards_end_on_a_cluster(cluster: list[Server], server: Server, tmp_path: Path) -> None:
    settings = Settings(
        redis_url=cluster[0].url,
        cluster=True,
        queue_url=server.url,
        data_dir=tmp_path,
        sweep_s=0.5,
        check_s=1,
        lease_s=3,
    )
    async with open_service(settings, roles=frozenset({"controller", "worker"}), sources=SOURCES) as running:
        boards = [await submit(running.store) for _ in range(6)]
        for board in boards:
            assert (await ended(running.store, board))["status"] == "completed"
            runs = await promises(running.store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
        well, checks = await examine(running, serves=True)
        assert well, checks
        assert all(check["ok"] for check in checks.values()), checks
        text, _ = await running.metrics.render("")
        assert b"blackboard_storage_up 1.0" in text
        assert b'blackboard_queue_depth{priority="batch",source="split",version="1"} 0.0' in text


@pytest.mark.cluster
async def test_sources_elsewhere_serve_a_cluster(cluster: list[Server], server: Server, tmp_path: Path) -> None:
    more = {"cluster": True, "queue_url": server.url}
    async with door(cluster[0].url, tmp_path, **more) as served:
        assert (await served.put(idle_timeout_s=30)).status_code == 201
        board = await served.submit()
        for _ in range(3):
            task = await served.task()
            assert (await served.renew(task, progress={"done": 0, "total": 1})).status_code == 200
            assert (await served.work(task)).status_code == 200
        assert (await served.ended(board))["status"] == "completed"
        assert len(await served.entries(board)) == 3
