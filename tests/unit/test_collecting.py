"""When streams are left out of full garbage collections, and when what they left behind is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from controller.http.collecting import FEW, Collecting
from controller.streams import Streams


class Knot:
    """Refers to itself."""

    found = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Knot.found += 1


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """Whatever a test leaves out is looked at again behind it."""
    Knot.found = 0
    yield
    gc.unfreeze()


async def test_what_ended_is_found_once_as_many_ended_as_are_open() -> None:
    streams = Streams(None, 0)
    collecting = Collecting(streams)
    ends = [await streams.open("k") for _ in range(FEW)]
    knots = [Knot() for _ in range(10)]
    before = gc.get_freeze_count()
    collecting.look()
    assert gc.get_freeze_count() > before
    knots.clear()
    gc.collect()
    assert Knot.found == 0, "what is left out is not looked at"
    for end in ends[1:]:
        end()
    collecting.look()
    assert Knot.found == 0
    ends[0]()
    collecting.look()
    assert Knot.found == 10


async def test_few_streams_change_nothing() -> None:
    streams = Streams(None, 0)
    collecting = Collecting(streams)
    for _ in range(FEW - 1):
        await streams.open("k")
    before = gc.get_freeze_count()
    collecting.look()
    assert gc.get_freeze_count() == before
