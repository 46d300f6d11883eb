"""A board and its parts as people and programs see them: plain JSON, the same over HTTP and on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from blackboard.contract import Source
from blackboard.entries import Activation, Header, is_rival, level_of, name_of
from blackboard.events import ENDED, LogRecord
from blackboard.registry import Broken


@dataclass(frozen=True, slots=True)
class BoardView:
    """A board by its head."""

    id: str
    head: Mapping[str, str]

    @property
    def revision(self) -> int:
        """How many commits and claims there were."""
        return int(self.head.get("revision", 0))

    @property
    def status(self) -> str:
        """open, completed, failed or cancelled."""
        return self.head.get("status", "open")

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self.status in ENDED

    @property
    def outcome(self) -> dict[str, Any] | None:
        """What the end says: slug, reason, coverage, disputes, degraded steps, cost. None while open."""
        said = self.head.get("outcome")
        return orjson.loads(said) if said else None

    def show(self) -> dict[str, Any]:
        """Times are milliseconds since 1970; what does not apply is left out."""
        head = self.head
        shown: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "revision": self.revision,
            "incarnation": head.get("incarnation", ""),
            "created": int(head.get("created", 0)),
            "goal": [level for level in head.get("goal", "").split(",") if level],
            "sources": orjson.loads(head.get("sources") or "{}"),
            "priority": head.get("priority", "interactive"),
            "policy": orjson.loads(head.get("policy") or "{}"),
            "links": links(self.id),
        }
        shown["models"] = shown["policy"].get("models", "off")
        for name in ("shadow", "backfill"):
            if head.get(name):
                shown[name] = orjson.loads(head[name])
        if "children" in head:
            shown["links"]["children"] = f"/v1/boards?parent={self.id}"
        if opener := head.get("opened_by"):
            shown["links"]["opened_by"] = f"/v1/boards/{opener}"
            shown["depth"] = int(head.get("depth", 1))
        for name in ("filename", "hold", "parent", "approved", "opened_by"):
            if head.get(name):
                shown[name] = head[name]
        if "cancel" in head:
            shown["cancelled_by"] = head["cancel"]
        for name in ("ended", "deadline_ms"):
            if head.get(name):
                shown[name] = int(head[name])
        if (outcome := self.outcome) is not None:
            shown["outcome"] = outcome
        return shown


def links(board: str) -> dict[str, str]:
    """Where the parts of a board are."""
    base = f"/v1/boards/{board}"
    parts = ("report", "entries", "events", "log", "why", "activations")
    return {"self": base, **{part: f"{base}/{part}" for part in parts}}


def entry_view(key: str, header: Header, value: bytes | None) -> dict[str, Any]:
    """One entry; `value` must be the value itself, not a blob reference."""
    shown: dict[str, Any] = {
        "key": key,
        "level": level_of(key),
        "name": name_of(key),
        "version": header.version,
        "confidence": header.confidence,
        "owner": header.owner,
        "pinned": header.pinned,
        "activation": header.activation,
        "digest": header.digest,
        "size": header.size,
    }
    if is_rival(key):
        shown["rival_of"] = key.partition("~")[0]
    shown["value"] = None if value is None else orjson.Fragment(value)
    return shown


def activation_view(activation: Activation) -> dict[str, Any]:
    """One record of the agenda. `inputs`: what it reads, and whether a change of it makes the activation stale."""
    inputs = [{"key": key, "version": version, "checked": checked} for key, version, checked in activation.inputs]
    return {
        "id": activation.id,
        "status": activation.status,
        "epoch": activation.epoch,
        **{name: value for name, value in activation.data.items() if name not in ("id", "status", "epoch", "inputs")},
        "inputs": inputs,
    }


class Timeline:
    """When each activation was put on the agenda, claimed and finished, gathered from the log record by record."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, int]] = {}
        self._latest: dict[str, bytes] = {}

    def add(self, records: Iterable[LogRecord]) -> None:
        """The next records."""
        for record in records:
            for id, stored in record.agenda.items():
                row = self._rows.setdefault(id, {"pending_at": record.at})
                self._latest[id] = stored
                status = stored.split(b"|", 1)[0]
                if record.type == "activation.claimed":
                    row["claimed_at"] = record.at
                    row.pop("finished_at", None)
                elif status not in (b"pending", b"running"):
                    row["finished_at"] = record.at

    def show(self) -> list[dict[str, Any]]:
        """Activations in the order in which they appeared. Times are milliseconds since 1970."""
        return [
            {**activation_view(Activation.parse(id, stored)), **self._rows[id]} for id, stored in self._latest.items()
        ]


def source_view(source: Source) -> dict[str, Any]:
    """A knowledge source as declared."""
    inputs = [
        {
            "parameter": given.parameter,
            "kind": given.kind,
            "levels": [kind.level for kind in given.levels],
            **({"by": given.by} if given.by else {}),
        }
        for given in source.inputs
    ]
    return {
        "name": source.name,
        "version": source.version,
        "inputs": inputs,
        "outputs": [kind.level for kind in source.outputs],
        "revises": [kind.level for kind in source.revises],
        "conditional": source.when is not None,
        "bids": source.bid is not None,
        "origin": source.origin,
        "where": source.where,
        "trusted": source.trusted,
        "required": source.required,
        "default": source.default,
        "asks_model": source.asks_model,
        "cost": source.cost,
        "timeout_s": source.timeout,
        "idle_timeout_s": source.idle_timeout,
        "priority": source.priority,
        "concurrency": source.concurrency,
        "attempts": source.attempts,
        "max_rounds": source.max_rounds,
    }


def broken_view(broken: Broken) -> dict[str, str]:
    """A plug-in that could not be loaded, where it was found, and why it could not."""
    return {"name": broken.name, "origin": broken.origin, "where": broken.where, "error": broken.error}
