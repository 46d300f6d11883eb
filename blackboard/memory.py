"""The store in memory: the same port and the same answers as the one on Redis, for tests and for looking at copies."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from copy import deepcopy

from blackboard import keys, steps
from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.doom import REMEMBERED_MS, Mark, assured
from blackboard.entries import Answer, Claimed, Commit, Mismatch
from blackboard.errors import UsageError
from blackboard.events import LogRecord
from blackboard.ports import Adoption, BoardRow, Change, Due, LeaseRow, Renewal
from blackboard.presence import Presence
from blackboard.steps import Shelf
from blackboard.wire import merge_page, page_commands
from blackboard.writing import Prepared, left_behind, prepare, referred

Listener = Callable[[str, LogRecord], None]


def _wall() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """See `ports.Store`. `clock` answers milliseconds since 1970; `grace`: see RedisStore. For one event loop."""

    def __init__(
        self, blobs: Blobs, *, clock: Callable[[], int] = _wall, partitions: int = 16, grace: float = 600.0
    ) -> None:
        self.partitions = partitions
        self.blobs = blobs
        self._clock = clock
        self._grace = grace
        self._shelves: dict[str, Shelf] = {}
        self._changes: dict[int, list[Change]] = {}
        self._changed = asyncio.Event()
        self._held: dict[str, tuple[str, int]] = {}
        self._orphans: dict[int, set[str]] = {}
        self._asked: dict[tuple[int, str], tuple[str, int]] = {}
        """Requests that may be sent again: what is known of each, and until when."""
        self._going: set[str] = set()
        """Blobs that are being removed."""
        self._gone: dict[str, tuple[int, int]] = {}
        """Blobs that were removed: how often, and until when that is of interest."""
        self._present: dict[tuple[str, ...], int] = {}
        self._served: dict[str, int] = {}
        self._secrets: dict[str, bytes] = {}
        self._listeners: list[Listener] = []
        self.refused: Counter[tuple[str, str]] = Counter()
        self._watchers: dict[str, set[asyncio.Queue[bytes]]] = {}

    def new_id(self, tenant: str) -> str:
        """See ports.Store."""
        return keys.new_board_id(secrets.randbelow(self.partitions))

    def _shelf(self, board: str) -> Shelf:
        keys.partition_of(board)
        return self._shelves.get(board) or Shelf(Board(board))

    def _logged(self, board: str, record: LogRecord) -> None:
        changes = self._changes.setdefault(keys.partition_of(board), [])
        changes.append(Change(f"{len(changes) + 1}-0", board, record.revision, record.type, self._tenant(board)))
        self._changed.set()
        self._changed = asyncio.Event()
        if not record.is_note:
            for listener in tuple(self._listeners):
                listener(board, record)

    def _tenant(self, board: str) -> str:
        return self._shelves[board].board.head.get("tenant", "")

    async def commit(self, board: str, commit: Commit) -> Answer:
        """See ports.Store."""
        prepared = await prepare(commit, self.blobs)
        return await assured(self.blobs, commit, lambda seen: self._step(board, prepared, seen))

    async def _step(self, board: str, prepared: Prepared, seen: Mapping[str, str]) -> Answer | list[Mark]:
        shelf, once, now = self._shelf(board), prepared.commit.once, self._clock()
        if once is not None and prepared.commit.id not in shelf.commits:
            held, until = self._asked.get((keys.partition_of(board), once.name), ("", 0))
            if until > now and held != f"busy|{once.nonce}":
                return Answer("conflict", shelf.board.revision, now, mismatches=(Mismatch("once", "", ""),))
        marks = [mark for mark in map(self._mark, prepared.blobs) if mark and seen.get(mark.sha256, "") != mark.mark]
        try:
            outcome, record = steps.commit(shelf, prepared, now, unsure=bool(marks))
        except steps.Unsure:
            return marks
        if once is not None and outcome.answer.ok and not outcome.answer.already:
            kept = f"done|{once.fingerprint}|{board}|{outcome.answer.revision}"
            self._asked[keys.partition_of(board), once.name] = (kept, now + once.keep_ms)
        if shelf.board.revision:
            self._shelves[board] = shelf
        if record is not None:
            self._logged(board, record)
        if not outcome.answer.ok:
            self.refused[prepared.commit.mode, outcome.answer.status] += 1
            # Last: the board may be erased while this waits.
            await asyncio.gather(*map(self._remove, left_behind(prepared, outcome.answer)))
        return outcome.answer

    async def claim(self, board: str, activation: str, *, nonce: str, lease_ms: int, worker: str) -> Claimed:
        """See ports.Store."""
        if "|" in nonce:
            raise UsageError("a claim's nonce holds '|'")
        answer, record = steps.claim(
            self._shelf(board), activation, nonce=nonce, lease_ms=lease_ms, worker=worker, now=self._clock()
        )
        if record is not None:
            self._logged(board, record)
        return answer

    async def renew(self, board: str, activation: str, epoch: int, *, lease_ms: int) -> Renewal:
        """See ports.Store."""
        return steps.renew(self._shelf(board), activation, epoch, lease_ms=lease_ms, now=self._clock())

    async def log(self, board: str, after: str = "0-0", *, count: int | None = None) -> list[LogRecord]:
        """See ports.Store."""
        revision, _, n = after.partition("-")
        behind = (int(revision), int(n or 0))
        return [record for record in self._shelf(board).log if (record.revision, record.n) > behind][:count]

    async def tip(self, board: str) -> tuple[int, int]:
        """See ports.Store."""
        log = self._shelf(board).log
        return (log[-1].revision, log[-1].n) if log else (0, 0)

    async def projection(self, board: str) -> Board | None:
        """See ports.Store."""
        found = self._shelf(board).board
        return deepcopy(found) if found.revision else None

    async def head(self, board: str) -> dict[str, str] | None:
        """See ports.Store."""
        return dict(self._shelf(board).board.head) or None

    async def entry(self, board: str, key: str) -> tuple[str, bytes | None] | None:
        """See ports.Store."""
        found = self._shelf(board).board
        header = found.entries.get(key)
        return None if header is None else (header, found.values.get(key))

    async def resolve(self, value: bytes) -> bytes:
        """See ports.Store."""
        sha256 = referred(value)
        return value if sha256 is None else await self.blobs.get(sha256)

    async def leases(self, board: str) -> dict[str, LeaseRow]:
        """See ports.Store."""
        found = self._shelf(board).leases
        return {name: LeaseRow(lease.expiry, lease.nonce, lease.at) for name, lease in found.items()}

    async def attend(self, worker: str, serves: Sequence[str], ttl_ms: int) -> Presence:
        """See ports.Store."""
        now = self._clock()
        self._present.pop((worker, *serves), None)
        if ttl_ms > 0:
            self._present[worker, *serves] = now + ttl_ms
        self._served.update(dict.fromkeys(serves, now))
        return await self.presence()

    async def presence(self) -> Presence:
        """See ports.Store."""
        now = self._clock()
        there: dict[str, tuple[str, ...]] = {}
        for (worker, *serves), until in self._present.items():
            if until > now:
                there[worker] = (*there.get(worker, ()), *serves)
        return Presence(now, there, dict(self._served))

    async def boards(
        self, tenant: str, *, before: str = "", limit: int = 50, children: bool = False
    ) -> tuple[list[BoardRow], str]:
        """See ports.Store."""
        page_commands(0, tenant, before, limit)  # refuses a cursor that is none
        flat: list[bytes] = []
        for id, shelf in self._shelves.items():
            if shelf.board.head.get("tenant", "") == tenant and (children or "opened_by" not in shelf.board.head):
                flat += [id.encode(), shelf.board.head["created"].encode()]
        page, cursor = merge_page([flat], before, limit)
        return [BoardRow(id, at, dict(self._shelves[id].board.head)) for at, id in page], cursor

    async def adopt(self, top: str, child: str, parent: str, *, most_children: int, most_below: int) -> Adoption:
        """See ports.Store."""
        shelf = self._shelf(top)
        if not shelf.board.revision:
            return "gone"
        if shelf.board.ended:
            return "closed"
        if child not in shelf.kin:
            if sum(other == parent for other in shelf.kin.values()) >= most_children:
                return "children"
            if len(shelf.kin) >= most_below:
                return "below"
            shelf.kin[child] = parent
        return "adopted"

    async def once(self, partition: int, name: str, nonce: str, ttl_ms: int) -> str:
        """See ports.Store."""
        held, until = self._asked.get((partition, name), ("", 0))
        if until > self._clock() and held != f"busy|{nonce}":
            return held if held.startswith("done|") else "busy"
        self._asked[partition, name] = (f"busy|{nonce}", self._clock() + ttl_ms)
        return "mine"

    async def refs(self, board: str) -> list[str]:
        """See ports.Store."""
        return sorted(self._shelf(board).blobs)

    async def below(self, top: str) -> dict[str, str]:
        """See ports.Store."""
        return dict(self._shelf(top).kin)

    async def now(self) -> int:
        """See ports.Store."""
        return self._clock()

    async def due(self, partition: int, *, limit: int = 256) -> tuple[int, list[Due]]:
        """See ports.Store."""
        now = self._clock()
        found = [
            Due(id, name, at)
            for id, shelf in self._shelves.items()
            if keys.partition_of(id) == partition
            for name, at in shelf.due.items()
            if at <= now
        ]
        return now, sorted(found, key=lambda row: (row.at, f"{row.board}|{row.name}"))[:limit]

    async def snooze(self, due: Sequence[Due], delay_ms: int) -> None:
        """See ports.Store."""
        at = self._clock() + delay_ms
        for row in due:
            shelf = self._shelf(row.board)
            if row.name in shelf.due:
                shelf.due[row.name] = at

    async def done(self, due: Sequence[Due]) -> None:
        """See ports.Store."""
        for row in due:
            self._shelf(row.board).due.pop(row.name, None)

    async def activity(self, cursors: dict[int, str], *, block_ms: int, count: int = 512) -> dict[int, list[Change]]:
        """See ports.Store."""
        end = time.monotonic() + block_ms / 1000
        while True:
            changed = self._changed
            found = {}
            for partition, cursor in cursors.items():
                seen = int(cursor.partition("-")[0])
                if fresh := self._changes.get(partition, [])[seen : seen + count]:
                    found[partition] = fresh
            left = end - time.monotonic()
            if found or left <= 0:
                return found
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                return {}

    async def activity_tip(self, partition: int) -> str:
        """See ports.Store."""
        return f"{len(self._changes.get(partition, ()))}-0"

    async def examine(self) -> list[str]:
        """See ports.Store."""
        return []

    async def activity_holds(self, cursors: Mapping[int, str]) -> bool:
        """See ports.Store."""
        return all(int(at.partition("-")[0]) <= len(self._changes.get(p, ())) for p, at in cursors.items())

    async def spread(self) -> int:
        """See ports.Store."""
        return self.partitions

    async def secret(self, name: str) -> bytes:
        """See ports.Store."""
        return self._secrets.setdefault(name, secrets.token_bytes(32))

    async def hold(self, lease: str, holder: str, ttl_ms: int) -> bool:
        """See ports.Store."""
        now = self._clock()
        held = self._held.get(lease)
        if held is not None and held[0] != holder and held[1] > now:
            return False
        self._held[lease] = (holder, now + ttl_ms)
        return True

    async def held(self, leases: Sequence[str]) -> list[bool]:
        """See ports.Store."""
        now = self._clock()
        return [self._held.get(lease, ("", 0))[1] > now for lease in leases]

    async def release(self, lease: str, holder: str) -> None:
        """See ports.Store."""
        if self._held.get(lease, ("", 0))[0] == holder:
            del self._held[lease]

    async def retire(self, board: str) -> bool:
        """See ports.Store."""
        shelf = self._shelf(board)
        if shelf.board.revision and not shelf.board.ended:
            return False
        self._shelves.pop(board, None)
        partition = keys.partition_of(board)
        self._orphans.setdefault(partition, set()).update(shelf.blobs)
        await self.collect(partition)
        return True

    async def erase(self, board: str) -> bool:
        """See ports.Store."""
        shelf = self._shelf(board)
        if shelf.board.revision and not shelf.board.ended:
            return False
        self._shelves.pop(board, None)
        for place in [place for place, (held, _) in self._asked.items() if f"|{board}|" in held]:
            del self._asked[place]
        for sha256 in sorted(shelf.blobs):
            await self._remove(sha256)
        return True

    def _mark(self, sha256: str) -> Mark | None:
        if sha256 in self._going:
            return Mark(sha256, None)
        mark, until = self._gone.get(sha256, (0, 0))
        return Mark(sha256, str(mark)) if until > self._clock() else None

    def _is_wanted(self, sha256: str) -> bool:
        return any(sha256 in shelf.blobs for shelf in self._shelves.values())

    async def _remove(self, sha256: str) -> None:
        if sha256 in self._going or self._is_wanted(sha256):
            return
        self._going.add(sha256)
        self._gone[sha256] = (self._gone.get(sha256, (0, 0))[0] + 1, self._clock() + REMEMBERED_MS)
        try:
            await self.blobs.delete(sha256)
        finally:
            self._going.discard(sha256)

    async def collect(self, partition: int) -> int:
        """See ports.Store."""
        removed = 0
        for sha256 in sorted(self._orphans.get(partition, ())):
            age = await self.blobs.age(sha256)
            wanted = self._is_wanted(sha256)
            if age is not None and not wanted and age < self._grace:
                continue
            if age is not None and not wanted:
                await self._remove(sha256)
                removed += 1
            self._orphans[partition].discard(sha256)
        return removed

    async def publish(self, board: str, message: bytes) -> None:
        """See ports.Store."""
        for queue in self._watchers.get(board, ()):
            queue.put_nowait(message)

    async def progress(self, board: str) -> AsyncIterator[bytes]:
        """See ports.Store."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchers.setdefault(board, set()).add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers[board].discard(queue)

    def listen(self, callback: Listener) -> Callable[[], None]:
        """See ports.Store."""
        self._listeners.append(callback)

        def remove() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return remove

    async def close(self) -> None:
        """See ports.Store."""
