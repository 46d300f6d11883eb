"""Plain functions in threads of their own.

A pool's threads are few, and one that hangs in an author's code takes its place for good: soon no plain function would run
any more, of whatever board. And a pool is joined when the process ends, which a thread that hangs would forbid.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any


async def in_thread(function: Callable[..., Any], *given: Any) -> Any:
    """What the function returns or raises. Who stops waiting leaves its thread behind; it cannot be stopped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result: Any = None
        failed: BaseException | None = None
        try:
            result = context.run(function, *given)
        except BaseException as error:  # SystemExit too: the waiter decides what it means
            failed = error
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name=getattr(function, "__name__", "source"), daemon=True).start()
    return await future
