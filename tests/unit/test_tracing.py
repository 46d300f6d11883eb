"""What a task belongs to: the trace it follows, and nothing of what it was started by."""

from __future__ import annotations

import asyncio

import pytest
from structlog.contextvars import get_contextvars

from controller.tracing import begin, follow, traced

MINE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


async def test_a_task_leaves_behind_what_it_inherited() -> None:
    begin(request_id="r1")
    follow(MINE)
    assert traced() == {"traceparent": MINE}
    assert get_contextvars() == {"request_id": "r1", "trace_id": MINE[3:35]}

    async def turn() -> None:
        assert traced() == {"traceparent": MINE}
        begin(board="3-b")
        assert traced() == {}
        assert traced({"traceparent": OTHERS}) == {"traceparent": OTHERS}
        assert get_contextvars() == {"board": "3-b"}

    await asyncio.create_task(turn())
    assert traced({"traceparent": OTHERS}) == {"traceparent": MINE}


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        MINE.upper(),
        MINE + "\n",
        MINE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        MINE.replace("b7ad6b7169203331", "0" * 16),
        "ff" + MINE[2:],
        MINE + "-more",
        "\u0660" * 55,
    ],
)
async def test_a_malformed_trace_is_none(sent: str) -> None:
    begin()
    follow(sent)
    assert traced() == {}
