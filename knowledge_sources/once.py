"""What is loaded or built once and kept, by whichever thread comes first."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def once(function: Callable[P, R], *, kept: int | None = None) -> Callable[P, R]:
    """Cache a function's results, the last `kept` of them, and let threads that ask at once wait for one call.

    `functools.cache` calls it once for each thread that comes before the first result: a board's pages are read side by side,
    and each would load the same lists.
    """
    cached = cast("Callable[P, R]", lru_cache(kept)(function))
    lock = RLock()

    @wraps(function)
    def locked(*args: P.args, **kwargs: P.kwargs) -> R:
        with lock:
            return cached(*args, **kwargs)

    return locked
