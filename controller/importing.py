"""Boards from bundles: what a board had come to elsewhere, on a new board here. No source's code runs.

The new board begins with the other one's entries, versions kept, and its agenda, and says in `parent` where it comes from. It
ends as that one had; one that was open goes on here. Its log begins anew: the old one stays in the file.

A bundle is a stranger's file. Its log is folded and proved first; a value may only refer to bytes that came with it, because
a reference is enough to read a blob; and whom the other service was to tell of the board is not told from here.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import orjson

from blackboard.board import Board
from blackboard.bundle import Bundle
from blackboard.entries import Activation, Commit, Fork
from blackboard.errors import LogError, StorageError
from blackboard.events import ENDED, LogRecord
from blackboard.ports import Store
from blackboard.replay import verify
from blackboard.writing import RESERVED, WORD, referred
from controller.retry import UPLOAD, fork

BY = "person:import"
HEADER = re.compile(
    r"[1-9]\d{0,14}\|(live|gone)\|[01]\|[0-9a-f]*\|\d{1,15}\|[0-9.e-]{1,12}(\|[^|\x00-\x1f\"\\]{0,200}){3}\Z"
)
RECORD = re.compile(rb"(pending|running|done|failed|stale|cancelled)\|\d{1,15}\|[^|\x00-\x1f]*\|\{")
TELLING = ("callback", "webhooks")
"""Head fields that would have somebody told."""
TAKEN = ("goal", "sources", "shadow", "policy", "filename", "priority", "hold", "deadline_ms", "backfill", "inherited",
         "approved", "cancel")  # fmt: skip
"""Head fields that a board which had ended keeps."""


class Putter(Protocol):
    """The part of the blob store that importing needs."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256."""


async def import_bundle(
    store: Store, blobs: Putter, bundle: Bundle, records: list[LogRecord], *, tenant: str, check_ms: int, keep_ms: int
) -> str:
    """The new board's id. `records`: the bundle's log; `check_ms`, `keep_ms`: when it is looked at, and how long it is kept.

    Raises LogError for a bundle that is not what it says, and BlobCorrupt.
    """
    try:
        old = verify(bundle.board, records)
        _check(old)
        needed = _needed(old)
        made = _made(old, tenant, check_ms)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise LogError(f"the board in it is damaged: {error}", hint="export it again") from error
    if strangers := needed - set(bundle.blobs):
        raise LogError(f"it refers to {len(strangers)} blobs that are not in it", hint="export it again")
    for sha256 in sorted(needed):
        await blobs.put(await bundle.get(sha256))
    board = store.new_id(tenant)
    commits = [replace(made, blobs=tuple(sorted(needed)))]
    if old.head.get("status") in ENDED:
        commits.append(_ending(old, keep_ms))
    for commit in commits:
        answer = await store.commit(board, commit)
        if not answer.ok:
            raise StorageError(f"the board could not be made: {answer.status}")
    return board


def log_holds(bundle: Bundle) -> bool:
    """Whether the log is the one that its manifest speaks of."""
    digest = hashlib.sha256()
    with bundle.log() as lines:
        while part := lines.read(1 << 20):
            digest.update(part)
    return bundle.manifest.get("log_sha256") == digest.hexdigest()


def _check(old: Board) -> None:
    """What is kept as it stands must be what the scripts can take apart. Raises ValueError."""
    for key, text in old.entries.items():
        if not WORD.match(key) or not HEADER.match(text):
            raise ValueError("an entry's key or header is none")
    for id, stored in old.agenda.items():
        Activation.parse(id, stored)
        if RESERVED.search(id) or not RECORD.match(stored):
            raise ValueError("a record of its agenda is none")


def _needed(old: Board) -> set[str]:
    """SHA-256 of the document and of the values that lie in the blob store."""
    found = {sha256 for value in old.values.values() if (sha256 := referred(value))}
    if UPLOAD in old.values:
        upload: dict[str, Any] = orjson.loads(old.values[UPLOAD])
        found |= {str(upload["sha256"])} if "sha256" in upload else set()
    return found


def _made(old: Board, tenant: str, check_ms: int) -> Commit:
    due: tuple[tuple[str, int | None], ...] = (("check", check_ms),)
    versions: Mapping[str, str] = orjson.loads(old.head.get("sources") or "{}")
    shadows: Mapping[str, str] = orjson.loads(old.head.get("shadow") or "{}")
    made = fork(old, versions, shadows, BY, due=due, again=False)
    head = {name: text for name, text in made.head.items() if name not in (*TELLING, "children")} | {"tenant": tenant}
    if old.head.get("status") not in ENDED:
        return replace(made, head=head)
    head |= {name: old.head[name] for name in TAKEN if name in old.head}
    whole = Fork(dict(old.entries), dict(old.values), dict(old.agenda))
    return replace(made, head=head, fork=whole, id=secrets.token_hex(16), due=())


def _ending(old: Board, keep_ms: int) -> Commit:
    status, outcome = old.head["status"], old.head.get("outcome", "{}")
    return Commit(
        type=f"board.{status}",
        by=BY,
        id=secrets.token_hex(16),
        mode="person",
        head={"status": status, "outcome": outcome},
        due=(("retention", keep_ms),),
        body=orjson.loads(outcome),
    )
