"""Between the store's words and the server's: arguments of commands, and replies taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from blackboard import doors, keys
from blackboard.doors import Argument, Call
from blackboard.entries import Activation, Claimed, Commit, Header, Read
from blackboard.errors import UsageError
from blackboard.events import LogRecord
from blackboard.ports import Change, Due, LeaseRow
from blackboard.presence import Presence
from blackboard.writing import Prepared, Stored


def commit_call(board: str, prepared: Prepared, seen: Mapping[str, str]) -> Call:
    """The step that makes a prepared commit. `seen`: blobs that were there after a removal -> its mark (blackboard.doom)."""
    commit = prepared.commit
    fence, epoch = commit.fence if commit.fence else ("", "")
    writes: list[tuple[Argument, ...]] = []
    for write in prepared.writes:
        if isinstance(write, Stored):
            writes.append(("p", write.key, write.value, write.digest, write.size, write.confidence, write.pin))
        else:
            writes.append(("r", write.key, write.owner))
    fork: list[tuple[str, str | bytes]] = []
    if commit.fork is not None:
        fork.extend((f"e:{key}", text) for key, text in commit.fork.entries.items())
        fork.extend((f"v:{key}", value) for key, value in commit.fork.values.items())
        fork.extend((f"a:{id}", record) for id, record in commit.fork.agenda.items())
    return doors.commit(
        _keys(board, commit),
        board=board,
        commit=commit.id,
        type=commit.type,
        by=commit.by,
        mode=commit.mode,
        activation=commit.activation,
        revision=commit.revision,
        fence=fence,
        epoch=epoch,
        note=commit.note,
        create=commit.create,
        body=prepared.body,
        once_for="" if commit.once is None else commit.once.words,
        checks=commit.checks,
        agenda_checks=commit.agenda_checks,
        writes=writes,
        agenda_writes=[(id, record, "" if due is None else due) for id, record, due in prepared.agenda],
        head_fields=tuple(commit.head.items()),
        dues=[(name, "" if delay is None else delay) for name, delay in commit.due],
        blob_refs=[(sha256, seen.get(sha256, "")) for sha256 in prepared.blobs],
        fork_fields=fork,
    )


def _keys(board: str, commit: Commit) -> keys.Keys:
    """The keys of a board; of a new one with the listing it belongs in."""
    asked = "" if commit.once is None else commit.once.name
    found = keys.keys_of(board)
    if commit.create:
        found = keys.keys_of(board, commit.head.get("tenant", ""), "opened_by" in commit.head)
    return found._replace(once=keys.once(keys.partition_of(board), asked)) if asked else found


def claim_bodies(worker: str) -> tuple[bytes, bytes]:
    """What the record of a claim says: the first one's, and that of one after a lost worker."""
    return orjson.dumps({"worker": worker}), orjson.dumps({"worker": worker, "lost": True})


def claimed(activation: str, worker: str, reply: Sequence[Any]) -> tuple[Claimed, LogRecord | None]:
    """What a claim's reply means, and the log record of a fresh claim."""
    status = reply[0].decode()
    if len(reply) == 1:
        return Claimed(status), None
    incarnation, revision, at, stored, lost, flat, wrote = reply[1:]
    reads = tuple(_read(*flat[i : i + 3]) for i in range(0, len(flat), 3))
    taken = Activation.parse(activation, stored)
    answer = Claimed(status, int(revision), int(at), taken, reads, tuple(key.decode() for key in wrote))
    if status != "claimed":
        return answer, None
    body = claim_bodies(worker)[1 if lost else 0]
    record = LogRecord(
        answer.revision, 0, answer.at, "activation.claimed", worker, incarnation.decode(),
        epoch=str(taken.epoch), body=body, agenda={activation: stored},
    )  # fmt: skip
    return answer, record


def _read(key: bytes, header: bytes, value: bytes | None) -> Read:
    return Read(key.decode(), Header.parse(header.decode()) if header else None, value)


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """A flat list of names and values as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def texts(flat: Sequence[bytes]) -> dict[str, str]:
    """The same with everything decoded."""
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}


def named(flat: Sequence[bytes]) -> dict[str, bytes]:
    """The same with the names decoded."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def due_of(flat: Sequence[bytes]) -> list[Due]:
    """Members `<board>|<name>` and their times."""
    found = []
    for member, at in zip(flat[::2], flat[1::2], strict=True):
        board, _, name = member.decode().partition("|")
        found.append(Due(board, name, int(float(at))))
    return found


def changes_of(rows: Iterable[tuple[bytes, Sequence[bytes]]]) -> list[Change]:
    """Records of a partition's activity, whose fields are b, r, t, n in this order; the first ones had no n."""
    return [Change(id.decode(), f[1].decode(), int(f[3]), f[5].decode(), b"".join(f[7:8]).decode()) for id, f in rows]


def page_commands(
    partition: int, tenant: str, before: str, limit: int, *, child: bool = False
) -> list[tuple[Any, ...]]:
    """A tenant's boards in one partition (or its child boards), newest first, from behind a cursor `<created>.<board>` on.

    Raises UsageError for a cursor that is none.
    """
    key = keys.boards(partition, tenant, child=child)
    if not before:
        return [("ZRANGE", key, "+inf", "-inf", "BYSCORE", "REV", "LIMIT", 0, limit + 1, "WITHSCORES")]
    created, _, board = before.partition(".")
    if not created.isdigit() or not keys.BOARD_ID.match(board):
        raise UsageError(
            f"{before[:80]!r} is not a cursor of this listing", hint="leave it out to begin with the newest"
        )
    return [
        ("ZRANGE", key, created, created, "BYSCORE", "REV", "WITHSCORES"),
        ("ZRANGE", key, f"({created}", "-inf", "BYSCORE", "REV", "LIMIT", 0, limit + 1, "WITHSCORES"),
    ]


def merge_page(replies: Iterable[Sequence[bytes]], before: str, limit: int) -> tuple[list[tuple[int, str]], str]:
    """(created, board) of one page, and the cursor of the next."""
    rows = [
        (int(float(at)), board.decode()) for flat in replies for board, at in zip(flat[::2], flat[1::2], strict=True)
    ]
    if before:
        created, _, board = before.partition(".")
        rows = [row for row in rows if row < (int(created), board)]
    rows.sort(reverse=True)
    page = rows[:limit]
    return page, f"{page[-1][0]}.{page[-1][1]}" if len(rows) > limit else ""


def leases_of(flat: Sequence[bytes]) -> dict[str, LeaseRow]:
    """Activations and their leases, `expiry|nonce|revision|at`."""
    found = {name: text.split("|") for name, text in texts(flat).items()}
    return {name: LeaseRow(int(parts[0]), parts[1], int(parts[3])) for name, parts in found.items()}


def presence_of(reply: Sequence[Any]) -> Presence:
    """Who is there, from what `attend.lua` answers."""
    now, present, flat = reply
    workers: dict[str, tuple[str, ...]] = {}
    for member in present:
        # Those that serve over HTTP say what they serve source by source.
        name, *words = member.decode().split("\n")
        workers[name] = (*workers.get(name, ()), *words)
    heard = {word.decode(): int(float(at)) for word, at in zip(flat[::2], flat[1::2], strict=True)}
    return Presence(int(now), workers, heard)
