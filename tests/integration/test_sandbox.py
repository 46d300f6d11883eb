"""Sandboxes: typed answers, every limit, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, DocumentUnsafe, PermanentFailure, TransientFailure
from blackboard.sandbox.pool import MIB, Limits, Sandbox, Sandboxes

HERE = str(Path(__file__).parent)
TARGET = "sandbox_targets:serve"
LIMITS = Limits(memory_bytes=256 * MIB, cpu_s=10, wall_s=20, output_bytes=4 * MIB)


@pytest.fixture(autouse=True)
def targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(TARGET, limits=LIMITS) as pool:
        yield pool


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_answers_json_and_bytes(sandbox: Sandbox) -> None:
    answer = await sandbox.call("echo", b"abc", word="é", number=3)
    assert (answer["size"], answer["word"], answer["number"]) == (3, "é", 3)
    payload = bytes(range(256)) * 8192
    assert await sandbox.call("reverse", payload) == payload[::-1]


async def test_one_process_serves_many_calls(sandbox: Sandbox) -> None:
    pids = {(await sandbox.call("echo"))["pid"] for _ in range(5)}
    assert len(pids) == 1


async def test_printing_does_not_disturb_the_answers(sandbox: Sandbox) -> None:
    assert await sandbox.call("chatter") == "quiet"


async def test_surroundings_are_scrubbed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "1")
    seen = await sandbox.call("surroundings")
    assert set(seen["environment"]) <= {"PATH", "LANG", "LC_CTYPE", "MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS"}
    assert seen["session"] == seen["pid"]
    assert seen["cwd"] == "/"


async def test_no_file_can_be_written(sandbox: Sandbox, tmp_path: Path) -> None:
    assert await sandbox.call("write_file", path=str(tmp_path / "out")) != "written"


def has_landlock() -> bool:
    return sys.platform == "linux" and int(ctypes.CDLL(None).syscall(444, None, 0, 1)) > 0


@pytest.mark.skipif(not has_landlock(), reason="this system cannot take files away from a process")
async def test_the_worker_s_files_and_environment_are_out_of_reach(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    assert await sandbox.call("read_file", path=str(secret)) == "PermissionError"
    assert await sandbox.call("read_file", path=f"/proc/{os.getpid()}/environ") == "PermissionError"
    assert await sandbox.call("read_file", path=str(Path(HERE) / "test_sandbox.py")) == Path(__file__).read_text()


def may_leave_network() -> bool:
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_leave_network(), reason="this system does not let a process leave its network")
async def test_network_is_out_of_reach(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await sandbox.call("connect", port=server.getsockname()[1]) != "connected"


async def test_stream_gives_every_answer_in_order(sandbox: Sandbox) -> None:
    assert [item["number"] async for item in sandbox.stream("count", upto=300)] == list(range(300))


async def test_stream_left_early_ends_its_process(sandbox: Sandbox) -> None:
    pid = (await sandbox.call("echo"))["pid"]
    async with contextlib.aclosing(sandbox.stream("count", upto=10_000, size=1000)) as stream:
        async for item in stream:
            if item["number"] == 3:
                break
    await until(lambda: not exists(pid))
    assert (await sandbox.call("echo", word="next"))["word"] == "next"


async def test_a_process_whose_output_nobody_reads_is_ended() -> None:
    async with Sandbox(TARGET, limits=LIMITS) as sandbox:
        async with contextlib.aclosing(sandbox.stream("count", upto=10_000, size=1000)) as stream:
            await anext(stream)
            (child,) = sandbox._busy
            await until(lambda: child._output._paused)  # the buffer is full: nothing more is taken from the pipe
        async with asyncio.timeout(5):
            await child.ended()


async def test_stream_gives_what_came_before_a_failure(sandbox: Sandbox) -> None:
    seen: list[int] = []
    with pytest.raises(DocumentUnreadable):
        async for item in sandbox.stream("count_then", upto=4, then="refuse"):
            seen.append(item)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize(("kind", "error"), [("unreadable", DocumentUnreadable), ("unsafe", DocumentUnsafe)])
async def test_typed_errors_cross_back(sandbox: Sandbox, kind: str, error: type[PermanentFailure]) -> None:
    pid = (await sandbox.call("echo"))["pid"]
    with pytest.raises(error, match=r"no . thanks") as caught:
        await sandbox.call("refuse", kind=kind)
    assert caught.value.hint == "try another"
    assert (await sandbox.call("echo"))["pid"] == pid


async def test_a_bug_is_a_permanent_failure_and_the_process_is_replaced(sandbox: Sandbox) -> None:
    pid = (await sandbox.call("echo"))["pid"]
    with pytest.raises(PermanentFailure, match="ValueError: a bug"):
        await sandbox.call("fail")
    assert (await sandbox.call("echo"))["pid"] != pid


@pytest.mark.parametrize(
    ("method", "params", "limits", "words"),
    [
        ("spin", {}, Limits(cpu_s=0.2, wall_s=15), "0.2 s of processor time"),
        ("sleep", {}, Limits(wall_s=0.5), "longer than 0.5 s"),
        ("hoard", {"size": 400 * MIB}, LIMITS, "more than 256 MB of memory"),
        ("flood", {"size": 5 * MIB}, LIMITS, "more than 4 MB of output"),
        ("crash", {}, LIMITS, "SIGSEGV"),
        ("leave", {}, LIMITS, "exit code 3"),
        ("nest", {}, LIMITS, "nested too deeply"),
        ("forge", {}, LIMITS, "nonsense"),
    ],
)
async def test_each_limit_is_named(method: str, params: dict[str, Any], limits: Limits, words: str) -> None:
    async with Sandbox(TARGET, limits=limits) as sandbox:
        pid = (await sandbox.call("echo"))["pid"]
        with pytest.raises(DocumentTooComplex, match=words):
            await sandbox.call(method, **params)
        await until(lambda: not exists(pid))
        assert (await sandbox.call("echo"))["pid"] != pid


@pytest.mark.long
async def test_processor_time_is_counted_per_call() -> None:
    async with Sandbox(TARGET, limits=Limits(cpu_s=1, wall_s=20)) as sandbox:
        assert len({await sandbox.call("burn", seconds=0.7) for _ in range(5)}) == 1


async def test_output_of_a_stream_is_counted_as_a_whole(sandbox: Sandbox) -> None:
    with pytest.raises(DocumentTooComplex, match="output"):
        async for _ in sandbox.stream("count", upto=100, size=100_000):
            pass


async def test_a_process_that_keeps_memory_is_replaced() -> None:
    limits = Limits(memory_bytes=512 * MIB, resident_bytes=100 * MIB)
    async with Sandbox(TARGET, limits=limits) as sandbox:
        small = await sandbox.call("hoard", size=MIB, keep=True)
        assert await sandbox.call("hoard", size=120 * MIB, keep=True) == small
        assert await sandbox.call("hoard", size=MIB) != small


async def test_a_process_is_replaced_after_its_share_of_calls() -> None:
    async with Sandbox(TARGET, limits=LIMITS, recycle_after=2) as sandbox:
        pids = [(await sandbox.call("echo"))["pid"] for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_cancelled_call_ends_its_process_and_no_answer_is_mixed_up(sandbox: Sandbox) -> None:
    pid = (await sandbox.call("echo"))["pid"]
    for _ in range(3):
        task = asyncio.create_task(sandbox.call("sleep"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: not exists(pid))
    assert [(await sandbox.call("echo", number=n))["number"] for n in range(3)] == [0, 1, 2]


async def test_one_document_does_not_harm_another() -> None:
    async with Sandbox(TARGET, limits=LIMITS, processes=2) as sandbox:
        calls = [sandbox.call("crash" if n % 3 == 0 else "echo", number=n) for n in range(12)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    for n, answer in enumerate(answers):
        if n % 3 == 0:
            assert isinstance(answer, DocumentTooComplex)
        else:
            assert isinstance(answer, dict) and answer["number"] == n


async def test_a_process_that_died_idle_is_replaced(sandbox: Sandbox) -> None:
    pid = (await sandbox.call("echo"))["pid"]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not exists(pid))
    await until(lambda: all(not child.alive for child in sandbox._idle))
    assert (await sandbox.call("echo"))["pid"] != pid


async def test_a_target_that_is_not_there_is_told() -> None:
    async with Sandbox("no_such_module:f", limits=LIMITS) as sandbox:
        with pytest.raises(PermanentFailure, match="no_such_module"):
            await sandbox.call("x")


async def test_close_ends_calls_and_processes() -> None:
    sandboxes = Sandboxes()
    sandbox = sandboxes.get(TARGET, LIMITS)
    assert sandboxes.get(TARGET, LIMITS) is sandbox
    pid = (await sandbox.call("echo"))["pid"]
    task = asyncio.create_task(sandbox.call("sleep"))
    await asyncio.sleep(0.05)
    await sandboxes.close()
    assert not exists(pid)
    with pytest.raises(TransientFailure, match="stopping"):
        await task
    with pytest.raises(TransientFailure):
        await sandbox.call("echo")
    await sandboxes.close()


ORPHAN = """
import asyncio, sys
from blackboard.sandbox.pool import Limits, Sandbox

async def main():
    sandbox = Sandbox("sandbox_targets:serve", limits=Limits())
    print((await sandbox.call("echo"))["pid"], flush=True)
    await sandbox.call(sys.argv[1])

asyncio.run(main())
"""


@pytest.mark.parametrize("method", ["sleep", "spin"])
def test_no_process_outlives_a_killed_worker(method: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, method], stdout=subprocess.PIPE, text=True, env=environment
    ) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert exists(pid)
        worker.kill()
    asyncio.run(until(lambda: not exists(pid)))
