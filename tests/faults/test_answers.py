"""Askers of the same questions, killed at random, on a server that now and then forgets everything."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis.asyncio import Redis

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

PROGRAM = Path(__file__).parents[1] / "integration" / "asking.py"
ROOT = Path(__file__).parents[2]
QUESTIONS, ASKERS, ROUNDS = 12, 5, 20


def asker(url: str, place: Path, number: int) -> subprocess.Popen[str]:
    """Asks one question until it is killed or has heard the answer; its diary is the question's own."""
    key = f"{number:064x}"
    pipe = subprocess.PIPE
    words = (url, str(place / "blobs"), str(place / f"diary-{number}"), key, "takes=0.15", "ttl=0.5", "times=2")
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *words], stdin=pipe, stdout=pipe, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


async def heard(process: subprocess.Popen[str]) -> str:
    """What it says in the end; "" if it was killed first."""

    def read() -> str:
        assert process.stdin is not None and process.stdout is not None
        if process.stdout.readline() != "ready\n":
            return ""
        try:
            process.stdin.write("go\n")
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline().strip()

    said = await asyncio.to_thread(read)
    process.kill()
    await asyncio.to_thread(process.communicate)
    return said


async def test_killed_askers_and_a_server_that_forgets(redis_url: str, tmp_path: Path) -> None:
    luck = random.Random(7)
    killed: Counter[int] = Counter()
    for _ in range(ROUNDS):
        number = luck.randrange(QUESTIONS)
        if luck.random() < 0.3:
            async with Redis.from_url(redis_url) as client:
                await client.flushall()
        started = [asker(redis_url, tmp_path, number) for _ in range(ASKERS)]
        listening = [asyncio.create_task(heard(each)) for each in started]
        for victim in luck.sample(started, 2):
            await asyncio.sleep(luck.uniform(0, 0.3))
            victim.send_signal(signal.SIGKILL)
            killed[number] += 1
        said = await asyncio.gather(*listening)
        assert sum(each.startswith("got 2") for each in said) >= ASKERS - 2, said
    for number in range(QUESTIONS):
        diary = tmp_path / f"diary-{number}"
        lines = [line.split()[:2] for line in diary.read_text().splitlines()] if diary.exists() else []
        began, ended = Counter(word for word, _ in lines)["began"], Counter(word for word, _ in lines)["ended"]
        # Once an answer is kept nobody asks again; a make that did not end was its owner's last.
        assert ended <= 1 + killed[number] and began - ended <= killed[number], (number, lines)
        open_by: str | None = None
        for word, process in lines:
            if word == "began":
                open_by = process
            else:
                assert open_by == process, ("two makes at once", number, lines)
