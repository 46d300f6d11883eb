"""Loading once, however many threads ask at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from knowledge_sources.once import once


def test_threads_that_ask_at_once_wait_for_one_call() -> None:
    calls: list[str] = []
    everybody = threading.Barrier(8)

    @once
    def load(name: str) -> list[str]:
        calls.append(name)
        threading.Event().wait(0.05)  # long enough for all to have asked
        return [name]

    def ask(_: int) -> list[str]:
        everybody.wait(5)
        return load("places")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert calls == ["places"]
    assert all(each is found[0] for each in found)


def test_the_last_few_are_kept() -> None:
    calls: list[int] = []

    @partial(once, kept=2)
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    assert [double(n) for n in (1, 2, 1, 3, 2)] == [2, 4, 2, 6, 4]
    assert calls == [1, 2, 3, 2]
    assert double.__name__ == "double"
