"""What one process says of the streams it has open."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from pytest import MonkeyPatch

from blackboard import keys
from blackboard.doors import Call
from controller import streams
from controller.streams import Streams


class Line:
    """A server that has room, and counts what it is told of whom."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    async def run(self, call: Call) -> Any:
        self.told[call.keys[0]] += 1
        return 1


async def test_what_stays_open_is_said_again_however_often_others_end(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AGAIN_S", 0.2)
    monkeypatch.setattr(streams, "SOON_S", 0.01)
    line = Line()
    counted = Streams(line, 5)  # type: ignore[arg-type]
    await counted.open("steady")
    serving = asyncio.create_task(counted.serve())
    try:
        async with asyncio.timeout(10):
            while line.told[keys.access("streams", "steady")] < 3:
                end = await counted.open("restless")
                end()
                await asyncio.sleep(0.02)
    finally:
        serving.cancel()
    assert line.told[keys.access("streams", "restless")] > 0
