"""Guests' processes: none outlives its worker, none is started for nothing, a flood starves nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard import Source
from blackboard.errors import PermanentFailure, TransientFailure
from blackboard.registry import find_sources
from blackboard.sandbox.rooms import Room, sweep
from controller import isolated
from controller.isolated import Isolation
from controller.settings import Settings
from tests.fleet import ROOT, until
from tests.integration.guests import children, guest, opened
from tests.integration.test_sandbox import exists

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="these look at processes through /proc")

WORKER = """
import asyncio, logging, sys
import orjson
from blackboard.blobs import Blobs
from blackboard.entries import Header, Read
from blackboard.memory import MemoryStore
from controller.inputs import Decoder
from controller.isolated import Isolation
from controller.isolated_host import Host, packed_inputs
from controller.settings import Settings
from tests.integration.guests import guest

async def main():
    source, decoder = guest("hostile"), Decoder(MemoryStore(Blobs.at("memory://")))
    value = orjson.dumps({"sha256": "0" * 64, "size": 1, "filename": sys.argv[1]})
    read = Read("upload/original", Header(1, True, False, "0", len(value), 1.0, "x", ""), value)
    inputs, values = await packed_inputs(source, read.key, [read], decoder)
    async with Isolation(Settings()).seat(source) as one:
        host = Host(decoder, {}, lambda: None, logging.getLogger())
        async for put in one.contributions(read.key, inputs, values, host):
            print(orjson.loads(put.value)["n"], flush=True)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test's own."""
    found = tmp_path / "tmp"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    yield found
    assert not list(found.iterdir())


@pytest.mark.parametrize("deed", ["cling", "cling_busily"])
@pytest.mark.long
async def test_none_outlives_a_killed_worker_and_its_room_is_swept(folder: Path, deed: str) -> None:
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, deed], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert exists(pid)
        await sweep()
        assert len(list(folder.iterdir())) == 1, "a living worker keeps its rooms"
        worker.kill()

    async def gone() -> bool:
        return not exists(pid)

    await until(gone)
    assert len(list(folder.iterdir())) == 1
    await sweep()


async def test_a_room_is_measured_no_further_than_it_must(folder: Path) -> None:
    room = Room.make()
    try:
        assert not room.is_over(1 << 20)
        deep = Path(room.path)
        for _ in range(100):
            deep /= "d"
            deep.mkdir()
        (deep / "big").write_bytes(b"x" * (2 << 20))
        assert room.is_over(1 << 20)
        assert not room.is_over(4 << 20)
        for n in range(1000):
            (deep / str(n)).touch()
        assert room.is_over(4 << 20)
    finally:
        await room.remove()


def of_file(folder: Path, body: str) -> Source:
    """A source of a file that does `body` where it is imported by a guest's process."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "odd.py"
    path.write_text(
        "import os, sys, time\n"
        "from blackboard import Each, Level, Upload, knowledge_source\n"
        "class Odd(Level):\n    text: str\n"
        f"if 'blackboard-guest-' in os.environ.get('TMPDIR', ''):\n    {body}\n"
        "@knowledge_source()\n"
        "def odd(upload: Each[Upload]) -> Odd:\n    return Odd(text='odd')\n"
    )
    (source,), broken = find_sources((), plugins=(folder,))
    assert not broken and not source.trusted
    return source


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("time.sleep(60)", TransientFailure, "took over 1 s to start"),
        (
            "raise ImportError('no stamps here')",
            PermanentFailure,
            "source odd cannot be loaded: ImportError: no stamps",
        ),
        ("sys.exit(4)", PermanentFailure, "source odd cannot be loaded: SystemExit: 4"),
        ("os._exit(4)", PermanentFailure, "ended while it was starting"),
        ("bytearray(10 << 30)", PermanentFailure, "MemoryError"),
        ("os.fork()", PermanentFailure, "Operation not permitted"),
        ("[os.write(fd, b'{}' * 999) for fd in (3, 4)]", PermanentFailure, "while it was starting|cannot be loaded"),
    ],
)
async def test_what_a_module_does_while_it_is_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, error: type[Exception], words: str
) -> None:
    if "sleep" in body:
        monkeypatch.setattr(isolated, "START_S", 1.0)
    source = of_file(tmp_path / "plugins", body)
    isolation = Isolation(Settings())
    try:
        with pytest.raises(error, match=words):
            async with isolation.seat(source):
                raise AssertionError("it must not start")
    finally:
        await isolation.close()


async def test_a_file_that_was_edited_is_not_run_as_what_it_was(folder: Path, tmp_path: Path) -> None:
    source = of_file(tmp_path / "plugins", "pass")
    path = Path(source.where)
    path.write_text(path.read_text() + "\nNEW = 1\n")
    isolation = Isolation(Settings())
    try:
        with pytest.raises(PermanentFailure, match="changed since this worker began"):
            async with isolation.seat(source):
                raise AssertionError("it must not start")
    finally:
        await isolation.close()


@pytest.mark.long
async def test_a_flood_starves_no_other_board(redis_url: str, tmp_path: Path, folder: Path) -> None:
    patient = guest("hostile", timeout=600.0, idle_timeout=None)
    async with opened(
        redis_url, tmp_path / "data", patient, guest("calm", trusted=True), plugin_entries=40_000
    ) as service:
        flooded = await service.submit("flood", "hostile")

        async def rises() -> bool:
            return bool(await service.values(flooded, "finding"))

        await until(rises)
        through = 0
        while (head := await service.service.store.head(flooded)) and head["status"] == "open" and through < 3:
            ending = await service.run(f"{through}", "calm")
            assert (ending["status"], ending["degraded"]) == ("completed", [])
            through += 1
        assert through == 3, "others go through while it rises"
        ending = await service.end(flooded)
        assert "more than 40,000 entries" in str(ending["degraded"])


@pytest.mark.long
async def test_a_cancelled_board_and_a_stopping_worker_end_their_processes(
    redis_url: str, tmp_path: Path, folder: Path
) -> None:
    before = children()
    source = guest("hostile", timeout=600.0, idle_timeout=None)
    async with opened(redis_url, tmp_path / "data", source, drain_s=0.2, lease_s=6) as service:

        async def started(board: str) -> None:
            async def yielded() -> bool:
                return bool(await service.values(board, "finding"))

            await until(yielded)
            assert len(children() - before) == 1

        board = await service.submit("spin", "hostile")
        await started(board)
        answer = await service.client.post(f"/v1/boards/{board}/cancel")
        assert answer.status_code == 202
        assert (await service.end(board))["status"] == "cancelled"

        async def ended() -> bool:
            return children() <= before

        await until(ended)
        board = await service.submit("hang", "hostile")
        await started(board)
    async with opened(redis_url, tmp_path / "data", guest("calm"), lease_s=60) as service:
        types = [record.type for record in await service.service.store.log(board)]
        assert types[-1] == "activation.retried", "it was given back"


@pytest.mark.long
async def test_several_processes_serve_one_source_at_a_time_each(redis_url: str, tmp_path: Path, folder: Path) -> None:
    async with opened(redis_url, tmp_path / "data", guest("hostile"), plugin_processes=2, plugin_calls=1) as service:
        boards = [await service.submit("behave", "hostile") for _ in range(4)]
        assert [(await service.end(board))["status"] for board in boards] == ["completed"] * 4
        pids = {found["n"] for board in boards for found in await service.values(board, "finding")}
        assert len(pids) == 4, "a fresh process for each"


async def test_no_process_is_started_before_it_is_needed(redis_url: str, tmp_path: Path, folder: Path) -> None:
    before = children()
    async with opened(redis_url, tmp_path / "data", guest("hostile"), guest("calm", trusted=True)) as service:
        await service.run("x", "calm")
        assert children() == before
        await service.run("behave", "hostile")
        assert len(children() - before) == 1
