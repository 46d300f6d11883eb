"""Python's garbage collection, kept from looking through thousands of open streams again and again.

A full collection looks at every object there is, and one is due whenever a quarter more has come: with ten thousand streams,
of two hundred objects each, everybody waits for seconds. Streams that have been open for a while are therefore left out
(`gc.freeze`). What they leave behind when they end is looked for once as many have ended as are open, so that it costs each
of them about one look.
"""

from __future__ import annotations

import asyncio
import gc

from controller.streams import Streams

EVERY_S = 1.0
FEW = 500
"""Streams that are not worth it."""
YOUNG = 5000
"""Objects that are new before the youngest are looked through."""


class Collecting:
    """Of a process that serves streams."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._left_out = 0
        """Streams that had ever been opened when some were left out last."""
        self._looked = streams.ended
        """Streams that had ended when all was looked through last."""

    async def run(self) -> None:
        """Until cancelled."""
        before = gc.get_threshold()
        gc.set_threshold(YOUNG, *before[1:])
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                self.look()
        finally:
            gc.set_threshold(*before)

    def look(self) -> None:
        """Do what is due."""
        streams = self._streams
        opened = streams.here + streams.ended
        if streams.ended - self._looked >= max(FEW, streams.here):
            gc.unfreeze()
            gc.collect()
            self._looked = streams.ended
        elif opened - self._left_out >= FEW:
            gc.collect(1)
        else:
            return
        gc.freeze()
        self._left_out = opened
