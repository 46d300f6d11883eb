"""What runs beside the rest until a process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress


def run(serving: Coroutine[None, None, None], stop: Callable[[], Awaitable[None]], stack: AsyncExitStack) -> None:
    """Run it until the stack closes, which asks it to stop and waits for that."""
    task = asyncio.create_task(serving)

    async def end() -> None:
        await stop()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def follow(work: Coroutine[None, None, None], stack: AsyncExitStack) -> None:
    """Run it until the stack closes, which cancels it."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
