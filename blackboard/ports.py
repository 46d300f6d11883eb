"""What the rest asks of a store: the port that the Redis store and the one in memory both keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from blackboard.board import Board
from blackboard.entries import Answer, Claimed, Commit
from blackboard.events import LogRecord
from blackboard.presence import Presence

Renewal = Literal["ok", "fenced", "cancelled"]
Adoption = Literal["adopted", "children", "below", "closed", "gone"]


@dataclass(frozen=True, slots=True)
class Due:
    """Something the sweeper must look at now. `name` is an activation's id, `check`, `deadline`, `retention`, or what is to
    be announced: `announce.created`, `announce.ended`, which the board's end leaves in place."""

    board: str
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a partition's activity: which board of whom took which revision with which type of record."""

    cursor: str
    board: str
    revision: int
    type: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A board as a listing shows it."""

    id: str
    created: int
    head: dict[str, str]


class LeaseRow(NamedTuple):
    """A running activation's lease. Times are the server's, milliseconds since 1970."""

    expiry: int
    nonce: str
    """Begins with the name of the worker that claimed it."""
    at: int
    """When it was claimed."""


class Store(Protocol):
    """Boards on a server. Every method may raise StorageUnavailable or StorageFull; writes also OutcomeUnknown."""

    partitions: int
    refused: Counter[tuple[str, str]]
    """Commits that THIS store object was refused, by the writer's mode and the answer's status."""

    def new_id(self, tenant: str) -> str:
        """A fresh board id, unguessable, with its partition's number in it."""

    async def commit(self, board: str, commit: Commit) -> Answer:
        """All of it or nothing. Never raises for a check that failed: the answer says so."""

    async def claim(self, board: str, activation: str, *, nonce: str, lease_ms: int, worker: str) -> Claimed:
        """Take an activation that is pending, or running with its lease expired; its inputs' values come with it."""

    async def renew(self, board: str, activation: str, epoch: int, *, lease_ms: int) -> Renewal:
        """Keep a running activation for another lease."""

    async def log(self, board: str, after: str = "0-0", *, count: int | None = None) -> list[LogRecord]:
        """Records behind the stream id `after`, notes included, oldest first; [] when there are none or no board."""

    async def tip(self, board: str) -> tuple[int, int]:
        """Revision and number of the last record of the log, a note or not; (0, 0) when there is no board."""

    async def projection(self, board: str) -> Board | None:
        """The four hashes as they are on the server, read in one step; None when there is no such board."""

    async def head(self, board: str) -> dict[str, str] | None:
        """The head alone."""

    async def entry(self, board: str, key: str) -> tuple[str, bytes | None] | None:
        """Header text and value (None for a tombstone) of one entry; None if it never existed."""

    async def resolve(self, value: bytes) -> bytes:
        """The value itself, where a blob reference stands for it."""

    async def leases(self, board: str) -> dict[str, LeaseRow]:
        """Activation -> its lease. Outside the log."""

    async def attend(self, worker: str, serves: Sequence[str], ttl_ms: int) -> Presence:
        """Say that a worker is there, for so long, and serves these `source@version`; 0 ms: that it leaves."""

    async def presence(self) -> Presence:
        """Which workers are there, and what they serve."""

    async def boards(
        self, tenant: str, *, before: str = "", limit: int = 50, children: bool = False
    ) -> tuple[list[BoardRow], str]:
        """A tenant's top-level boards, newest first, and the cursor of the next page ("" at the end).

        `children`: with the child boards among them.
        """

    async def adopt(self, top: str, child: str, parent: str, *, most_children: int, most_below: int) -> Adoption:
        """Reserve a place for a child board, once for each id; `top` is the top-level board that `parent` is or is below.

        `children` and `below` are refusals: the parent, or the top-level board, has as many as it may.
        """

    async def once(self, partition: int, name: str, nonce: str, ttl_ms: int) -> str:
        """Take, keep or give back (0 ms) the right to answer a request that may be sent again; see `entries.Once`.

        Answers `mine`, `busy`, or what the request came to: `done|fingerprint|board|revision`.
        """

    async def refs(self, board: str) -> list[str]:
        """SHA-256 of every blob that the board refers to, in order."""

    async def below(self, top: str) -> dict[str, str]:
        """The boards below a top-level board -> their parents; those with a place reserved included."""

    async def now(self) -> int:
        """The server's clock, milliseconds since 1970."""

    async def due(self, partition: int, *, limit: int = 256) -> tuple[int, list[Due]]:
        """The server's clock and what is due by it."""

    async def snooze(self, due: Sequence[Due], delay_ms: int) -> None:
        """Look at these again later; what is no longer in the list stays out of it."""

    async def done(self, due: Sequence[Due]) -> None:
        """Take these off the list for good."""

    async def activity(self, cursors: dict[int, str], *, block_ms: int, count: int = 512) -> dict[int, list[Change]]:
        """Changes behind each partition's cursor, waiting up to `block_ms` for the first. Not cancelled by callers."""

    async def activity_tip(self, partition: int) -> str:
        """The cursor behind everything so far."""

    async def examine(self) -> list[str]:
        """What is doubtful about the server, in words. Raises ServerUnfit where it would lose boards."""

    async def activity_holds(self, cursors: Mapping[int, str]) -> bool:
        """Whether everything behind each partition's cursor is still there: the server never tells of a gap."""

    async def spread(self) -> int:
        """The largest number of partitions there ever was."""

    async def secret(self, name: str) -> bytes:
        """The same random bytes for all processes of this server, drawn when somebody first asks."""

    async def hold(self, lease: str, holder: str, ttl_ms: int) -> bool:
        """Take or keep a named lease (a partition's controller); False when somebody else has it."""

    async def release(self, lease: str, holder: str) -> None:
        """Give a named lease back, if it is still the holder's."""

    async def held(self, leases: Sequence[str]) -> list[bool]:
        """Which of these named leases somebody has."""

    async def retire(self, board: str) -> bool:
        """Remove an ended board with all its keys in one step, then blobs nothing refers to. False if it has not ended."""

    async def erase(self, board: str) -> bool:
        """As `retire`, but blobs that nothing else refers to go at once, with no grace. False if it has not ended.

        A commit of the same bytes meanwhile is refused until they are there again: BlobErased, a StorageUnavailable.
        """

    async def collect(self, partition: int) -> int:
        """Remove the partition's blobs that no board refers to and whose grace is over; how many. For the sweeper."""

    async def publish(self, board: str, message: bytes) -> None:
        """Progress for live watchers: never logged, lost when nobody listens."""

    def listen(self, callback: Callable[[str, LogRecord], None]) -> Callable[[], None]:
        """Call back at once, with the board's id and the record, after each commit and claim that THIS store object made.

        Saves a controller in the same process a round trip; the record equals what `log` returns. Notes, and answers
        that were remembered (`already`), are left out. The callback must not raise. Answers what undoes it.
        """

    def progress(self, board: str) -> AsyncIterator[bytes]:
        """What is published for a board, from now on; close it (`aclose`) to stop."""

    async def close(self) -> None:
        """Give back connections. Idempotent."""
