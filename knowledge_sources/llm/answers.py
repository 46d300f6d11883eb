"""Exact answers, kept for a while, and one asker at a time for each over the whole fleet.

They lie in the blob store, and the younger ones in Redis in front of it. An answer is kept before anybody hears it, so
whoever dies between hearing and committing asks again for nothing. Nothing here fails a caller: what is damaged or foreign is
a miss; without Redis the blob store is read and each process asks for itself; without the blob store Redis alone keeps.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from redis.exceptions import RedisError

from blackboard.blobs import Blobs
from blackboard.errors import StorageError
from knowledge_sources.llm.answer_files import AnswerFiles, word_of
from knowledge_sources.llm.calls import Caller, Reply
from knowledge_sources.llm.flight import Flights, Joined
from knowledge_sources.llm.sealed import is_whole, seal, unseal

log = structlog.get_logger(__name__)

Make = Callable[[], Awaitable[Reply]]

FRONT_S = 86_400.0
"""At most this long in Redis, whose memory is dear; longer in the blob store."""
UNNOTED_S = 3600.0
"""In Redis, where the blob store is away: nobody could find it for a board's erasure."""
LOOK_S = 2.0
"""A waiter looks again by itself, should nobody wake it."""
AWAY_S = 1.0
"""The same, while Redis is away and somebody elsewhere may be asking."""
TIDY_S = 6 * 3600.0
NOTE_S = 2.0


class KeptAnswers:
    """See ports.Answers. `keep_s`: how long answers are kept; `clock`: milliseconds since 1970."""

    def __init__(
        self,
        flights: Flights,
        blobs: Blobs,
        *,
        keep_s: float,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._flights = flights
        self._files = AnswerFiles(blobs.area("answers"))
        self._keep_s = keep_s
        self._clock = clock
        self._here: dict[str, asyncio.Future[Reply | None]] = {}
        """Questions that a caller of this process is about; its answer, or None when it has none for the others."""
        self._behind: set[asyncio.Task[Any]] = set()
        """What goes on behind the scenes."""
        self._tidy_at = 0.0

    async def once(self, key: str, caller: Caller, make: Make) -> tuple[Reply, bool]:
        """See ports.Answers."""
        while (here := self._here.get(key)) is not None:
            # Not cancelled with whoever waits for it.
            shared = await asyncio.shield(here)
            if shared is not None:
                await self._soon(self._noting(key, caller))
                return shared, True
        here = self._here[key] = asyncio.get_running_loop().create_future()
        reply: Reply | None = None
        try:
            reply, kept = await self._lead(key, caller, make)
            return reply, kept
        finally:
            del self._here[key]
            here.set_result(reply if reply is not None and is_whole(reply) else None)

    async def forget(self, board: str) -> None:
        """See ports.Answers. Raises StorageError where it could not be done; it may then be done again."""
        await self._flights.erase(board)
        for tenant, key in await self._files.asked_by(board):
            alone = not await self._files.is_shared(tenant, key, board)
            if alone:
                await self._files.remove(tenant, key)
                await self._flights.drop(key)
            await self._files.unnote(tenant, key, board)
            if alone:
                # What was under way looks, once it has kept its answer, whether its board is remembered: one of us sees it.
                await self._files.remove(tenant, key)
                await self._flights.drop(key)

    async def tidy(self) -> int:
        """Remove from the blob store what is too old; how many objects. Done by itself now and then."""
        return await self._files.tidy(self._keep_s)

    async def close(self) -> None:
        """Stop what goes on behind the scenes."""
        for task in self._behind:
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)
        await self._flights.close()

    # -- one caller of this process, against the fleet -------------------------------------------------------------

    async def _lead(self, key: str, caller: Caller, make: Make) -> tuple[Reply, bool]:
        token = secrets.token_hex(16)
        noting = self._noting(key, caller)
        joined: Joined | Reply | None = await self._join(key, token)
        if isinstance(joined, Joined) and not joined.mine and joined.kept is None:
            joined = await self._wait(key, token, caller.tenant, joined)
        if joined is None:
            kept = await self._from_files(key, caller.tenant)
            if kept is None:
                return await self._made(key, None, caller, make, noting), False
            joined = kept[0]
        if isinstance(joined, Joined) and joined.mine:
            return await self._with_leave(key, token, caller, make, noting)
        await self._soon(noting)
        return (joined if isinstance(joined, Reply) else self._sound(key, joined)), True

    async def _join(self, key: str, token: str) -> Joined | None:
        """None when Redis is away. What is kept there is sound: else it is removed, and looked for elsewhere."""
        try:
            joined = await self._flights.join(key, token)
            while joined.kept is not None and self._opened(key, joined.kept) is None:
                log.warning("answer.damaged", key=key, where="redis")
                await self._flights.drop(key)
                joined = await self._flights.join(key, token)
        except (StorageError, RedisError) as error:
            log.warning("answers.unreachable", error=str(error))
            return None
        return joined

    async def _wait(self, key: str, token: str, tenant: str, joined: Joined) -> Joined | Reply | None:
        """While somebody else asks: until there is an answer or the leave is ours. None: Redis is away, and stays so."""
        loop = asyncio.get_running_loop()
        until = loop.time() + joined.left_s
        async with self._flights.hearing(key) as landed:
            while True:
                landed.clear()
                again = await self._join(key, token)
                if again is None:
                    # The one who asks keeps its answer in the blob store all the same. It has its lease's time.
                    if (kept := await self._from_files(key, tenant)) is not None:
                        return kept[0]
                    if loop.time() >= until:
                        return None
                    await asyncio.sleep(AWAY_S)
                    continue
                if again.mine or again.kept is not None:
                    return again
                until = loop.time() + again.left_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(again.left_s + 0.02, LOOK_S)):
                        await landed.wait()

    async def _with_leave(
        self, key: str, token: str, caller: Caller, make: Make, noting: asyncio.Task[bool]
    ) -> tuple[Reply, bool]:
        landed = False
        try:
            async with self._flights.flying(key, token):
                if (kept := await self._from_files(key, caller.tenant)) is not None:
                    reply, sealed, made_ms = kept
                    await self._soon(noting)
                    landed = await self._front(key, token, sealed, self._keep_s - (self._clock() - made_ms) / 1000)
                    return reply, True
                reply = await self._made(key, token, caller, make, noting)
                landed = is_whole(reply)
                return reply, False
        finally:
            if not landed:
                await asyncio.shield(self._flights.leave(key, token))

    # -- keeping -----------------------------------------------------------------------------------------------------

    async def _made(self, key: str, token: str | None, caller: Caller, make: Make, noting: asyncio.Task[bool]) -> Reply:
        """What `make` gets, kept where it may be. `token`: the leave to ask, where there is Redis."""
        reply = await make()
        if not is_whole(reply):
            return reply
        noted = await noting
        sealed = seal(key, reply, self._clock())
        if noted:
            try:
                await self._files.put(caller.tenant, key, sealed)
            except StorageError as error:
                log.warning("answer.unkept", key=key, error=str(error))
        if token is not None and not await self._front(key, token, sealed, self._keep_s if noted else UNNOTED_S):
            await self._flights.leave(key, token)
        if caller.board:
            await self._undo_if_erased(key, caller, noted=noted)
        self._tidy_by_and_by()
        return reply

    async def _undo_if_erased(self, key: str, caller: Caller, *, noted: bool) -> None:
        """See `forget`. A source may ask on for a few seconds before it learns that its board is gone."""
        try:
            erased = await self._flights.is_erased(caller.board)
            if erased or (noted and not await self._files.is_noted(caller.tenant, caller.board, key)):
                await self._files.remove(word_of(caller.tenant), key)
                await self._flights.drop(key)
                await self._files.unnote(word_of(caller.tenant), key, caller.board)
        except (StorageError, RedisError) as error:
            log.warning("answer.unchecked", key=key, error=str(error))

    async def _front(self, key: str, token: str, sealed: bytes, keep_s: float) -> bool:
        try:
            await self._flights.land(key, token, sealed, min(keep_s, FRONT_S))
        except (StorageError, RedisError) as error:
            log.warning("answer.not_in_redis", key=key, error=str(error))
            return False
        return True

    async def _from_files(self, key: str, tenant: str) -> tuple[Reply, bytes, int] | None:
        """The kept answer, as it is kept, and when it was made."""
        try:
            sealed = await self._files.get(tenant, key)
        except StorageError as error:
            log.warning("answers.unreadable", error=str(error))
            return None
        if not sealed:
            return None
        found = self._opened(key, sealed)
        if found is None:
            log.warning("answer.damaged", key=key, where="blobs")
            return None
        return found[0], sealed, found[1]

    def _opened(self, key: str, sealed: bytes) -> tuple[Reply, int] | None:
        return unseal(key, sealed, now_ms=self._clock(), most_age_s=self._keep_s)

    def _sound(self, key: str, joined: Joined) -> Reply:
        found = self._opened(key, joined.kept or b"")
        assert found is not None, "it was looked at as it came"
        return found[0]

    def _noting(self, key: str, caller: Caller) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._note(key, caller))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
        return task

    async def _soon(self, noting: asyncio.Task[bool]) -> None:
        """An answer that is there already waits for no blob store that does not answer."""
        await asyncio.wait([noting], timeout=NOTE_S)

    async def _note(self, key: str, caller: Caller) -> bool:
        """Whether a board's erasure will find the answer."""
        try:
            await self._files.note(caller.tenant, caller.board, key)
        except StorageError as error:
            log.warning("answer.unnoted", key=key, error=str(error))
            return False
        return True

    def _tidy_by_and_by(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_S
            task = asyncio.create_task(self._tidy_for_all())
            self._behind.add(task)
            task.add_done_callback(self._behind.discard)

    async def _tidy_for_all(self) -> None:
        with suppress(StorageError, RedisError):
            if await self._flights.first("answers-tidy", TIDY_S):
                await self.tidy()
