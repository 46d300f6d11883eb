"""Trying again: which activations of an open board, and what a board that has ended goes on as. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import orjson

from blackboard.board import Board
from blackboard.entries import Activation, Commit, Fork
from blackboard.errors import UsageError
from controller.kin import children_of

UPLOAD = "upload/original"
KEPT = ("tenant", "goal", "policy", "filename", "priority", "hold", "deadline_ms", "backfill", "inherited", "children",
        "callback", "webhooks")  # fmt: skip
"""Head fields that a fork takes over."""


def fork(
    old: Board,
    versions: Mapping[str, str],
    shadows: Mapping[str, str],
    by: str,
    *,
    due: tuple[tuple[str, int | None], ...],
    again: bool = True,
) -> Commit:
    """The commit that makes a new board from an ended one, without its failed, cancelled and stale activations.

    `again`: child boards that came to nothing are opened anew, below the new board, by whoever opened them.

    `versions`: the version to take of each source, and `shadows` of each shadow; of those, the new board begins with the
    ones the old one had.
    """
    head = {name: old.head[name] for name in KEPT if name in old.head}
    before: dict[str, str] = orjson.loads(old.head.get("sources") or "{}")
    head |= {
        "status": "open",
        "incarnation": secrets.token_hex(6),
        "sources": orjson.dumps({name: versions[name] for name in before if name in versions}).decode(),
        "parent": f"{old.id}@{old.revision}",
    }
    if old.head.get("shadow"):
        aside: dict[str, str] = orjson.loads(old.head["shadow"])
        head["shadow"] = orjson.dumps({name: shadows[name] for name in aside if name in shadows}).decode()
    children = children_of(old).items() if again else ()
    undone = {key: header for key, (header, child) in children if child.status != "completed"}
    openers = {header.activation for header in undone.values()}
    agenda = {
        id: _before(id, stored, old.revision)
        for id, stored in old.agenda.items()
        if stored.startswith(b"done|") and id not in openers
    }
    entries = {key: text for key, text in old.entries.items() if key not in undone}
    values = {key: value for key, value in old.values.items() if key not in undone}
    upload = orjson.loads(old.values[UPLOAD]) if UPLOAD in old.values else {}
    return Commit(
        type="board.created",
        by=by,
        id=secrets.token_hex(16),
        mode="person",
        create=True,
        head=head,
        due=due,
        blobs=(upload["sha256"],) if "sha256" in upload else (),
        fork=Fork(entries, values, agenda),
    )


def _before(id: str, stored: bytes, revision: int) -> bytes:
    """A record as decided before the new board's first revision: the order of its runs stays, later ones stand above."""
    old = Activation.parse(id, stored)
    if "decided" not in old.data:
        return stored
    data = {**old.data, "decided": int(old.data["decided"]) - revision}
    return bytes(Activation(old.id, old.status, old.epoch, old.inputs, data))


def failed_for_good(board: Board, only: str | None) -> list[Activation]:
    """The latest activations of their bindings that failed and are not about to be tried again.

    `only`: nothing but this one. Raises UsageError when there is no such activation.
    """
    if only is not None and only not in board.agenda:
        raise UsageError("there is no such activation")
    latest: dict[tuple[str, str], Activation] = {}
    for activation in (Activation.parse(id, stored) for id, stored in board.agenda.items()):
        place = (str(activation.data["source"]), str(activation.data["binding"]))
        if place not in latest or latest[place].data["n"] <= activation.data["n"]:
            latest[place] = activation
    return [
        activation
        for activation in latest.values()
        if activation.status == "failed" and "retry_at" not in activation.data and only in (None, activation.id)
    ]


def anew(failed: Activation) -> Activation:
    """The same activation as if it had not been tried; its epoch goes on."""
    return failed.again()
