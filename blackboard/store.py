"""The store on Redis: each method is one script or a few plain commands, sent through the coalescer."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from redis.exceptions import ResponseError

from blackboard import doors, keys, wire
from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.changes import ChangeReader
from blackboard.coalesce import ClusterCoalescer, ClusterSender, Coalescer, PoolSender, Sender, resent
from blackboard.confirming import Confirming
from blackboard.connect import check_server, connect, examine
from blackboard.doom import Mark, Removals, assured, marks_of
from blackboard.entries import Answer, Claimed, Commit
from blackboard.errors import OutcomeUnknown, StorageError, StorageUnavailable, UsageError
from blackboard.events import LogRecord, from_stream
from blackboard.pipe import Pipe
from blackboard.ports import Adoption, BoardRow, Change, Due, LeaseRow, Renewal
from blackboard.presence import Presence
from blackboard.progress import ProgressHub
from blackboard.writing import Outcome, Prepared, left_behind, parse_answer, prepare, record_of, referred

REMOVED_AT_ONCE = 16
"""Blobs of an erased board; each asks every partition."""

Listener = Callable[[str, LogRecord], None]


class RedisStore:
    """See `ports.Store`. `commands` and `blocking` are redis-py clients with pools of their own, never decoding replies."""

    def __init__(
        self,
        commands: Any,
        *,
        blocking: Any,
        blobs: Blobs,
        partitions: int = 16,
        cluster: bool = False,
        grace: float = 600.0,
        replicas: int = 0,
        confirm_ms: int = 1000,
    ) -> None:
        """`grace`: seconds for which a blob may lie unreferenced, between its put and the commit that refers to it.

        `replicas`: how many must have what people and submitters write before they are answered, each within `confirm_ms`.
        Raises UsageError for replicas of a cluster.
        """
        if cluster and replicas:
            raise UsageError("writes to a cluster are not confirmed by replicas", hint="leave DURABLE_REPLICAS at 0")
        self.partitions = partitions
        self.blobs = blobs
        self._commands = commands
        self._blocking = blocking
        self._grace = grace
        self._lines: dict[int, Coalescer] = {}
        self._new_line: Callable[[], Coalescer]
        if cluster:
            spread = ClusterSender(commands)
            self._new_line = lambda: ClusterCoalescer(spread)
            self.reads: Sender = spread
            """Carries blocking reads, which must hold up no other command; each ends within four seconds."""
        else:
            line = Pipe(commands.connection_pool)
            self._new_line = lambda: line
            self.reads = PoolSender(blocking.connection_pool)
        self._confirming = Confirming(self.reads, replicas, confirm_ms) if replicas else None
        self._removals = Removals(self.line, blobs, partitions)
        self._changes = ChangeReader(self.reads, cluster=cluster)
        self._listeners: list[Listener] = []
        self.refused: Counter[tuple[str, str]] = Counter()
        """See ports.Store."""
        self._hub = ProgressHub(blocking)
        self._widened = False
        self._closed = False

    def line(self, partition: int) -> Coalescer:
        """The coalescer that carries a partition's commands: one for all, on Cluster one for each."""
        found = self._lines.get(partition)
        if found is None:
            found = self._lines[partition] = self._new_line()
        return found

    def _of(self, board: str) -> Coalescer:
        return self.line(keys.partition_of(board))

    def new_id(self, tenant: str) -> str:
        """See ports.Store."""
        return keys.new_board_id(random.SystemRandom().randrange(self.partitions))

    async def commit(self, board: str, commit: Commit) -> Answer:
        """See ports.Store."""
        prepared = await prepare(commit, self.blobs)
        if commit.create and not self._widened:
            await self._read(self.line(0).run(doors.widen(keys.PARTITIONS, count=self.partitions)))
            self._widened = True
        outcome = await assured(self.blobs, commit, lambda seen: self._step(board, prepared, seen))
        if not outcome.answer.ok:
            self.refused[commit.mode, outcome.answer.status] += 1
            await self._unkeep(left_behind(prepared, outcome.answer))
        elif self._listeners and not outcome.answer.already:
            self._tell(board, record_of(prepared, outcome))
        return outcome.answer

    async def _step(self, board: str, prepared: Prepared, seen: Mapping[str, str]) -> Outcome | list[Mark]:
        call = wire.commit_call(board, prepared, seen)
        # Who is answered over HTTP waits for replicas; what a process of ours writes is made again from what they have.
        sure = self._confirming if prepared.commit.mode == "person" else None
        run = (sure or self._of(board)).run
        try:
            reply: bytes = await (resent(lambda: run(call)) if prepared.commit.id else run(call))
        except ResponseError as error:
            if str(error).startswith("TWICE "):
                raise UsageError(f"a commit puts {str(error)[6:]} twice") from error
            raise
        text = reply.decode()
        return marks_of(text) if text.startswith("doomed|") else parse_answer(text)

    async def _unkeep(self, blobs: Sequence[str]) -> None:
        with suppress(StorageError):
            await asyncio.gather(*(self._removals.remove(sha256) for sha256 in blobs))

    async def claim(self, board: str, activation: str, *, nonce: str, lease_ms: int, worker: str) -> Claimed:
        """See ports.Store."""
        if "|" in nonce:
            raise UsageError("a claim's nonce holds '|'")
        first, lost = wire.claim_bodies(worker)
        line = self._of(board)
        call = doors.claim(
            keys.keys_of(board), board=board, activation=activation, nonce=nonce, lease_ms=lease_ms, worker=worker,
            body_first=first, body_lost=lost,
        )  # fmt: skip
        answer, record = wire.claimed(activation, worker, await resent(lambda: line.run(call)))
        if record is not None and self._listeners:
            self._tell(board, record)
        return answer

    async def renew(self, board: str, activation: str, epoch: int, *, lease_ms: int) -> Renewal:
        """See ports.Store."""
        call = doors.renew(keys.keys_of(board), board=board, activation=activation, epoch=epoch, lease_ms=lease_ms)
        reply: bytes = await self._of(board).run(call)
        return reply.decode()  # type: ignore[return-value]

    async def log(self, board: str, after: str = "0-0", *, count: int | None = None) -> list[LogRecord]:
        """See ports.Store."""
        command: list[Any] = ["XRANGE", keys.keys_of(board).log, f"({after}", "+"]
        if count is not None:
            command += ["COUNT", count]
        found = await self._read(self._of(board).issue(command))
        return [from_stream(id.decode(), wire.pairs(fields)) for id, fields in found]

    async def tip(self, board: str) -> tuple[int, int]:
        """See ports.Store."""
        command = ("XREVRANGE", keys.keys_of(board).log, "+", "-", "COUNT", 1)
        found = await self._read(self._of(board).issue(command))
        revision, _, n = found[0][0].decode().partition("-") if found else ("0", "-", "0")
        return int(revision), int(n)

    async def projection(self, board: str) -> Board | None:
        """See ports.Store."""
        flat = await self._read(self._of(board).run(doors.projection(keys.keys_of(board))))
        head, entries, values, agenda = flat
        if not head:
            return None
        return Board(board, wire.texts(head), wire.texts(entries), wire.named(values), wire.named(agenda))

    async def head(self, board: str) -> dict[str, str] | None:
        """See ports.Store."""
        flat = await self._read(self._of(board).issue(("HGETALL", keys.keys_of(board).head)))
        return wire.texts(flat) or None

    async def entry(self, board: str, key: str) -> tuple[str, bytes | None] | None:
        """See ports.Store."""
        header, value = await self._read(self._of(board).run(doors.entry(keys.keys_of(board), key=key)))
        return None if header is None else (header.decode(), value)

    async def resolve(self, value: bytes) -> bytes:
        """See ports.Store. Raises BlobMissing or BlobCorrupt when the blob store has lost it."""
        sha256 = referred(value)
        return value if sha256 is None else await self.blobs.get(sha256)

    async def leases(self, board: str) -> dict[str, LeaseRow]:
        """See ports.Store."""
        return wire.leases_of(await self._read(self._of(board).issue(("HGETALL", keys.keys_of(board).leases))))

    async def attend(self, worker: str, serves: Sequence[str], ttl_ms: int) -> Presence:
        """See ports.Store."""
        call = doors.attend(keys.PRESENT, keys.SERVED, worker=worker, ttl_ms=ttl_ms, serves=serves)
        return wire.presence_of(await self._read(self.line(0).run(call)))

    async def presence(self) -> Presence:
        """See ports.Store."""
        return await self.attend("", (), 0)

    async def boards(
        self, tenant: str, *, before: str = "", limit: int = 50, children: bool = False
    ) -> tuple[list[BoardRow], str]:
        """See ports.Store. Raises UsageError for a cursor that is none."""
        places = [(p, child) for p in range(self.partitions) for child in ((False, True) if children else (False,))]
        asked = [(p, c) for p, child in places for c in wire.page_commands(p, tenant, before, limit, child=child)]
        replies = await asyncio.gather(*(self._read(self.line(p).issue(command)) for p, command in asked))
        page, cursor = wire.merge_page(replies, before, limit)
        heads = await asyncio.gather(*(self.head(board) for _, board in page))
        return [BoardRow(board, at, head) for (at, board), head in zip(page, heads, strict=True) if head], cursor

    async def adopt(self, top: str, child: str, parent: str, *, most_children: int, most_below: int) -> Adoption:
        """See ports.Store."""
        of, line = keys.keys_of(top), self._of(top)
        call = doors.adopt(of, child=child, parent=parent, most_children=most_children, most_below=most_below)
        reply: bytes = await resent(lambda: line.run(call))
        return reply.decode()  # type: ignore[return-value]

    async def once(self, partition: int, name: str, nonce: str, ttl_ms: int) -> str:
        """See ports.Store."""
        line, call = self.line(partition), doors.once(keys.once(partition, name), nonce=nonce, ttl_ms=ttl_ms)
        reply: bytes = await resent(lambda: line.run(call))
        if self._confirming is not None and reply.startswith(b"done|"):
            # It is told again perhaps because it could not be confirmed when it was made.
            reply = await self._confirming.run(call)
        return reply.decode()

    async def refs(self, board: str) -> list[str]:
        """See ports.Store."""
        found = await self._read(self._of(board).issue(("SMEMBERS", keys.keys_of(board).refs)))
        return sorted(sha256.decode() for sha256 in found)

    async def below(self, top: str) -> dict[str, str]:
        """See ports.Store."""
        kin = wire.texts(await self._read(self._of(top).issue(("HGETALL", keys.keys_of(top).kin))))
        return {board: parent for board, parent in kin.items() if not board.startswith("#")}

    async def now(self) -> int:
        """See ports.Store."""
        seconds, micros = await self._read(self.line(0).issue(("TIME",)))
        return int(seconds) * 1000 + int(micros) // 1000

    async def due(self, partition: int, *, limit: int = 256) -> tuple[int, list[Due]]:
        """See ports.Store."""
        now, *flat = await self._read(self.line(partition).run(doors.due(keys.due(partition), limit=limit)))
        return int(now), wire.due_of(flat)

    async def snooze(self, due: Sequence[Due], delay_ms: int) -> None:
        """See ports.Store."""
        for partition, rows in groupby(sorted(due, key=_partition_of_due), key=_partition_of_due):
            members = [f"{row.board}|{row.name}" for row in rows]
            await self.line(partition).run(doors.snooze(keys.due(partition), delay_ms=delay_ms, members=members))

    async def done(self, due: Sequence[Due]) -> None:
        """See ports.Store."""
        for partition, rows in groupby(sorted(due, key=_partition_of_due), key=_partition_of_due):
            members = [f"{row.board}|{row.name}" for row in rows]
            await self._read(self.line(partition).issue(("ZREM", keys.due(partition), *members)))

    async def activity(self, cursors: dict[int, str], *, block_ms: int, count: int = 512) -> dict[int, list[Change]]:
        """See ports.Store."""
        return await self._changes.read(cursors, block_ms=block_ms, count=count)

    async def activity_tip(self, partition: int) -> str:
        """See ports.Store."""
        found = await self._read(
            self.line(partition).issue(("XREVRANGE", keys.activity(partition), "+", "-", "COUNT", 1))
        )
        return found[0][0].decode() if found else "0-0"

    async def examine(self) -> list[str]:
        """See ports.Store."""
        return await examine(self._blocking)

    async def activity_holds(self, cursors: Mapping[int, str]) -> bool:
        """See ports.Store."""
        asked = (self._read(self.line(p).run(doors.holds(keys.activity(p), cursor=at))) for p, at in cursors.items())
        return all(await asyncio.gather(*asked))

    async def spread(self) -> int:
        """See ports.Store."""
        return int(await self._read(self.line(0).run(doors.widen(keys.PARTITIONS, count=self.partitions))))

    async def secret(self, name: str) -> bytes:
        """See ports.Store."""
        key = keys.access("pepper", name)
        await self._read(self.line(0).issue(("SET", key, secrets.token_bytes(32), "NX")))
        return bytes(await self._read(self.line(0).issue(("GET", key))))

    async def hold(self, lease: str, holder: str, ttl_ms: int) -> bool:
        """See ports.Store."""
        return bool(await self.line(0).run(doors.hold(keys.lease(lease), holder=holder, ttl_ms=ttl_ms)))

    async def release(self, lease: str, holder: str) -> None:
        """See ports.Store."""
        await self.line(0).run(doors.release(keys.lease(lease), holder=holder))

    async def held(self, leases: Sequence[str]) -> list[bool]:
        """See ports.Store."""
        asked = (self._read(self.line(0).issue(("EXISTS", keys.lease(lease)))) for lease in leases)
        return [bool(found) for found in await asyncio.gather(*asked)]

    async def retire(self, board: str) -> bool:
        """See ports.Store. True as well when the board is gone already."""
        if not await self._retire(board):
            return False
        await self.collect(keys.partition_of(board))
        return True

    async def erase(self, board: str) -> bool:
        """See ports.Store."""
        own, line = keys.keys_of(board), self._of(board)
        refs = await self.refs(board)
        asked: bytes | None = await self._read(line.issue(("HGET", own.commits, "#once")))
        if not await self._retire(board):
            return False
        if asked:
            await line.issue(("UNLINK", *asked.split()))
        for first in range(0, len(refs), REMOVED_AT_ONCE):
            some = refs[first : first + REMOVED_AT_ONCE]
            await asyncio.gather(*(self._removals.remove(sha256) for sha256 in some))
        return True

    async def _retire(self, board: str) -> bool:
        head = await self.head(board)
        if head is None:
            return True
        of = keys.keys_of(board, head.get("tenant", ""), "opened_by" in head)
        return bool(await self._of(board).run(doors.retire(of, board=board)))

    async def collect(self, partition: int) -> int:
        """See ports.Store."""
        return await self._removals.collect(partition, self._grace)

    async def publish(self, board: str, message: bytes) -> None:
        """See ports.Store."""
        await self._of(board).issue(("PUBLISH", keys.progress(board), message))

    def progress(self, board: str) -> AsyncIterator[bytes]:
        """See ports.Store."""
        return self._hub.messages(keys.progress(board))

    def listen(self, callback: Listener) -> Callable[[], None]:
        """See ports.Store."""
        self._listeners.append(callback)

        def remove() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return remove

    def _tell(self, board: str, record: LogRecord) -> None:
        for listener in tuple(self._listeners):
            listener(board, record)

    async def _read(self, reply: Any) -> Any:
        try:
            return await reply
        except OutcomeUnknown as error:
            # A read has no outcome to be unsure of.
            raise StorageUnavailable(str(error)) from error

    async def close(self) -> None:
        """See ports.Store."""
        if self._closed:
            return
        self._closed = True
        await self._hub.close()
        for line in {id(line): line for line in self._lines.values()}.values():
            await line.close()
        await self._commands.aclose()
        await self._blocking.aclose()


def _partition_of_due(row: Due) -> int:
    return keys.partition_of(row.board)


async def open_store(
    url: str, blobs: Blobs, *, partitions: int = 16, cluster: bool = False, check: bool = True
) -> RedisStore:
    """A store at `redis://`, `rediss://` or `unix://`. Raises StorageUnavailable, and with `check` ServerUnfit."""
    commands, blocking = await connect(url, cluster=cluster)
    store = RedisStore(commands, blocking=blocking, blobs=blobs, partitions=partitions, cluster=cluster)
    if check:
        try:
            await check_server(blocking)
        except BaseException:
            await store.close()
            raise
    return store
