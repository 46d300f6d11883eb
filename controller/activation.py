"""One activation, from its claim to its last commit.

Contributions are committed as they are yielded; what comes while a commit is under way travels with the next. What is
written, and how it ends, is up to `controller.fenced`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from blackboard.contract import Blobs, Boards, Progress
from blackboard.contributions import Namer
from blackboard.entries import Put
from blackboard.errors import PermanentFailure, StorageError, TransientFailure, plainly
from blackboard.models import LanguageModel
from blackboard.sourcelog import SourceLogger
from controller.fenced import Fenced, Lost, Moved
from controller.inputs import Decoder, arguments, injected, lookups
from controller.isolated import Guest, Isolation
from controller.isolated_host import Host, packed_inputs
from controller.patience import Patience, watched
from controller.threads import in_thread

BATCH = 256
"""Contributions that travel together."""
EARLY = 1000
"""Contributions of a third party's run that are committed as they come; the rest waits for its good end."""


@dataclass(slots=True)
class Run(Fenced):
    """One claimed activation under way in this process."""

    services: Mapping[Any, Any]
    decoder: Decoder
    isolation: Isolation | None = None
    _flush: asyncio.Task[None] | None = field(default=None, init=False)

    async def execute(self) -> str:
        """Run the source and finish. The status it came to, or `lost`. Raises only CancelledError and StorageError."""
        try:
            self._check_losses()
        except PermanentFailure as error:
            return await self._fail(error)
        try:
            try:
                await self._work()
            finally:
                await self._settle_flush()
            return await self._finish("done")
        except Lost:
            return "lost"
        except Moved:
            return await self._stale()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # A CancelledError that leaked out of a library is an ordinary failure, not a cancellation of ours.
            return await self._fail(TransientFailure("the source was cancelled from within"))
        except StorageError:
            # Not the source's failure: the lease runs out, and somebody claims it again.
            raise
        except SystemExit as error:
            # It would end the worker, and with it what other boards run there.
            return await self._fail(TransientFailure(f"it called exit({error.code})"))
        except Exception as error:  # whatever an author's code raises
            return await self._fail(plainly(error))

    async def _work(self) -> None:
        patience = Patience(self.source)
        if self.source.trusted:
            async with patience:
                await self._call(patience)
            return
        if self.isolation is None:
            raise PermanentFailure("this worker runs no third party's source")
        # Waiting for a free process, or for one to start, is none of the source's time.
        async with self.isolation.seat(self.source) as guest, patience:
            await self._call_isolated(guest, patience)

    async def _call(self, patience: Patience) -> None:
        self._check_inputs()
        namer = Namer(self.source, str(self.data["binding"]), prefix=self._prefix)
        self._named = namer.named
        given = await arguments(
            self.source,
            str(self.data["binding"]),
            self.claimed.reads,
            self.board,
            self.decoder,
            self.store,
            self.looked,
        )
        given |= injected(self.source, watched(self.services, patience))
        function = self.source.function
        if inspect.isasyncgenfunction(function):
            result = function(**given)
        elif inspect.iscoroutinefunction(function):
            result = await function(**given)
        else:
            result = await in_thread(_whole, function, given, patience)
        if isinstance(result, AsyncIterator):
            try:
                async for item in result:
                    patience.touch()
                    await self._add(namer.put(item))
                    patience.touch()  # waiting for a slow server is none of its time
            finally:
                # Its clean-up belongs to this run: left to the garbage collector, it would come at any time.
                if isinstance(result, AsyncGenerator):
                    await result.aclose()
        elif isinstance(result, (list, tuple)):
            self._buffer.extend(namer.put(item) for item in result)
        elif result is not None:
            self._buffer.append(namer.put(result))

    async def _call_isolated(self, guest: Guest, patience: Patience) -> None:
        self._check_inputs()
        binding = str(self.data["binding"])
        inputs, values = await packed_inputs(self.source, binding, self.claimed.reads, self.decoder)
        host = Host(
            self.decoder,
            lookups(self.source, self.board, self.decoder, self.store, self.looked),
            patience.touch,
            SourceLogger(self.source.name, self.board, binding),
            self.services.get(Blobs),
            self.services.get(Progress),
            self.spent,
            self.services.get(Boards),
            self.services.get(LanguageModel),
        )
        later: list[Put] = []
        async with aclosing(guest.contributions(binding, inputs, values, host)) as contributed:
            async for put in contributed:
                patience.touch()
                put = replace(put, key=self._prefix + put.key)
                self._named.add(put.key)
                if len(self._named) <= EARLY:
                    await self._add(put)
                    patience.touch()  # waiting for a slow server is none of its time
                else:
                    later.append(put)
        for put in later:
            await self._add(put)

    async def _add(self, put: Put) -> None:
        self._buffer.append(put)
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_all())
        elif self._flush.done():
            self._flush.result()
            self._flush = asyncio.create_task(self._flush_all())
        if len(self._buffer) >= BATCH:
            # Slower than they are made: whoever makes them waits, and the server hears of others in between.
            await self._settle_flush()

    async def _flush_all(self) -> None:
        # One turn of the loop, so that values yielded without an await in between travel together.
        await asyncio.sleep(0)
        while self._buffer:
            puts, self._buffer = self._buffer[:BATCH], self._buffer[BATCH:]
            await self._commit("contribution.committed", puts=puts)

    async def _settle_flush(self) -> None:
        if self._flush is not None:
            flush, self._flush = self._flush, None
            await flush


def _whole(function: Any, given: Mapping[str, Any], patience: Patience) -> Any:
    """A synchronous source's result; a generator is run to its end here, in the thread."""
    try:
        result = function(**given)
        if not inspect.isgenerator(result):
            return result
        items = []
        for item in result:
            patience.touch()
            items.append(item)
        return items
    except StopIteration as error:
        # A future cannot hold it: whoever waits for the thread would wait for ever.
        raise RuntimeError("it raised StopIteration") from error
