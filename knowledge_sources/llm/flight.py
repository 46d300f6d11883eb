"""One asker at a time for each question, over the whole fleet.

Whoever joins first has the leave to ask: a token under a key that lapses after 20 s unless it is renewed, every 5 s. The
others wait. They are woken by a stream that says which questions somebody stopped asking, read by one blocking read for all
waiters of a process, and only while there are any; should that be lost, they look again by themselves. So the place of one
who failed is taken at once, and that of one who died when its key lapses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from blackboard import keys
from blackboard.coalesce import Coalescer, Sender
from blackboard.doors import Call, Script
from blackboard.errors import OutcomeUnknown, StorageError, StorageUnavailable

PACKAGE: Final = "knowledge_sources.llm"
JOIN = Script("flight_join", ("answer", "flight"), ("token", "ttl_ms"), PACKAGE)
RENEW = Script("flight_renew", ("flight",), ("token", "ttl_ms"), PACKAGE)
END = Script("flight_end", ("answer", "flight", "landed"), ("name", "token", "answer_ms", "bytes"), PACKAGE)
SCRIPTS = (JOIN, RENEW, END)

TTL_S = 20.0
LANDED = keys.llm("landed", "all")
BLOCK_MS = 1000
ERASED_S = 86_400
AGAIN_S = 0.5
"""Before a stream that could not be read is read again."""


@dataclass(frozen=True, slots=True)
class Joined:
    """`kept`: the answer's bytes; `mine`: the leave to ask; neither: somebody else has it, for `left_s` yet at most."""

    kept: bytes | None = None
    mine: bool = False
    left_s: float = 0.0


class Flights:
    """`line` carries commands, `reads` blocking reads. Methods raise StorageError where they do not say otherwise."""

    def __init__(self, line: Coalescer, reads: Sender, *, ttl_s: float = TTL_S) -> None:
        self._line = line
        self._ttl_ms = max(1, int(ttl_s * 1000))
        self._landings = _Landings(line, reads)

    async def join(self, key: str, token: str) -> Joined:
        """The kept answer, or the leave to ask. Once it is ours, joining again with the same token says so again."""
        found = await self._run(JOIN.on(_named(key)[:2], token, self._ttl_ms))
        if found[0] == b"kept":
            return Joined(kept=found[1])
        return Joined(mine=found[0] == b"mine", left_s=max(0, int(found[1])) / 1000 if len(found) > 1 else 0.0)

    async def land(self, key: str, token: str, answer: bytes, keep_s: float) -> None:
        """Keep an answer for so long, give the leave back, wake everybody who waits."""
        await self._run(END.on(_named(key), key, token, max(1, int(keep_s * 1000)), answer))

    async def leave(self, key: str, token: str) -> None:
        """Give the leave back without an answer: the next one who waits takes over. Raises nothing of the server's."""
        with suppress(StorageError, RedisError):
            try:
                await self._run(END.on(_named(key), key, token, 1, b""))
            except StorageError:
                # Out of memory it may still delete. A lost connection leaves it to lapse.
                if await self._run(("GET", _named(key)[1])) == token.encode():
                    await self._run(("DEL", _named(key)[1]))

    async def drop(self, key: str) -> None:
        """Forget the kept answer."""
        await self._run(("DEL", _named(key)[0]))

    async def erase(self, board: str) -> None:
        """From now on, and for longer than anything is under way, nothing that is asked for a board is kept."""
        await self._run(("SET", keys.llm("board", board), "erased", "EX", ERASED_S))

    async def is_erased(self, board: str) -> bool:
        """Whether a board was erased lately."""
        return bool(await self._run(("EXISTS", keys.llm("board", board))))

    async def first(self, name: str, ttl_s: float) -> bool:
        """Whether we are the first of the fleet, in so many seconds, to take a named lease."""
        return await self._run(("SET", keys.lease(name), "1", "NX", "PX", max(1, int(ttl_s * 1000)))) is not None

    @asynccontextmanager
    async def flying(self, key: str, token: str) -> AsyncIterator[None]:
        """Renew the leave to ask while the block runs. Where that fails it goes on: an answer paid for is not thrown away."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._ttl_ms / 4000)
                with suppress(StorageError, RedisError):
                    await self._run(RENEW.on((_named(key)[1],), token, self._ttl_ms))

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    def hearing(self, key: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """`async with hearing(key) as landed:` an asyncio.Event, set when somebody stops asking that question."""
        return self._landings.hearing(key)

    async def close(self) -> None:
        """Stop reading."""
        await self._landings.close()

    async def _run(self, command: Call | tuple[Any, ...]) -> Any:
        """Once more where the connection was lost on the way: each of these steps may be made twice."""

        def send() -> Awaitable[Any]:
            return self._line.run(command) if isinstance(command, Call) else self._line.issue(command)

        try:
            return await send()
        except OutcomeUnknown:
            try:
                return await send()
            except OutcomeUnknown as error:
                raise StorageUnavailable(str(error)) from error


def _named(key: str) -> tuple[str, str, str]:
    return keys.llm("answer", key), keys.llm("flight", key), LANDED


class _Landings:
    """Who waits for which question, and the one read for all of them."""

    def __init__(self, line: Coalescer, reads: Sender) -> None:
        self._line, self._reads = line, reads
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._begun: asyncio.Event = asyncio.Event()

    @asynccontextmanager
    async def hearing(self, key: str) -> AsyncIterator[asyncio.Event]:
        """What lands once the block has begun is heard, unless the server is away."""
        landed = asyncio.Event()
        self._waiting.setdefault(key, set()).add(landed)
        try:
            if self._reading is None or self._reading.done():
                self._begun = asyncio.Event()
                self._reading = asyncio.create_task(self._read(self._begun))
            await self._begun.wait()
            yield landed
        finally:
            mine = self._waiting[key]
            mine.discard(landed)
            if not mine:
                del self._waiting[key]

    async def _read(self, begun: asyncio.Event) -> None:
        cursor = ""
        while self._waiting:
            try:
                if not cursor:
                    last = await self._line.issue(("XREVRANGE", LANDED, "+", "-", "COUNT", 1))
                    cursor = last[0][0].decode() if last else "0-0"
                    begun.set()
                (reply,) = await self._reads.send(
                    [("XREAD", "COUNT", 256, "BLOCK", BLOCK_MS, "STREAMS", LANDED, cursor)]
                )
                if isinstance(reply, BaseException):
                    raise StorageUnavailable(str(reply)) from reply
                for _, rows in reply or ():
                    for at, fields in rows:
                        cursor = at.decode()
                        for landed in self._waiting.get(fields[1].decode(), ()):
                            landed.set()
            except (StorageError, RedisError):
                # Those who wait look again by themselves meanwhile.
                begun.set()
                await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
