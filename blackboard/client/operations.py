"""What can be asked of boards, their entries, and the service: a call for each operation."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from blackboard.client.calls import Answer, Call, Paged, json_body, page_of, path_of
from blackboard.client.idempotency import once
from blackboard.client.results import (
    Board,
    Committed,
    Entry,
    Report,
    board_of,
    committed_of,
    entry_of,
    report_of,
)
from blackboard.client.writes import Put, Retract
from blackboard.entries import is_shadow, shadow_parts
from blackboard.errors import ServiceError, UsageError
from blackboard.events import LogRecord, from_json

Json = dict[str, Any]
Words = Sequence[str] | str


def board(id: str, at: int | None = None) -> Call[Board]:
    """A board, now or at a revision."""
    return Call("GET", path_of("boards", id), lambda answer: board_of(answer.object()), params={"at": at})


def boards(*, children: bool, parent: str, limit: int) -> Call[Paged[Board]]:
    """The first page of a listing."""
    params = {"limit": limit, "children": children or None, "parent": parent}
    return Call("GET", path_of("boards"), page_of(board_of), params=params)


def report(id: str, *, partial: bool) -> Call[Report]:
    """The report, or with `partial` the best there is."""
    return Call(
        "GET", path_of("boards", id, "report"), lambda it: report_of(it.object()), params={"partial": partial or None}
    )


def events(id: str, *, snapshot: bool = False, level: Words = "", source: Words = "", type: Words = "") -> Call[None]:
    """A board's stream, with what it leaves out."""
    params = {"snapshot": snapshot or None, "level": level, "source": source, "type": type}
    return Call("GET", path_of("boards", id, "events"), Answer.nothing, params=params)


def changes(*, snapshot: bool, type: Words) -> Call[None]:
    """The stream of all boards."""
    return Call(
        "GET", path_of("events"), Answer.nothing, params={"snapshot": snapshot or None, "type": type}, noun="stream"
    )


def log(id: str) -> Call[list[LogRecord]]:
    """All records, notes included."""

    def read(answer: Answer) -> list[LogRecord]:
        return [from_json(line) for line in answer.content.splitlines() if line.strip()]

    return Call("GET", path_of("boards", id, "log"), read, headers={"accept": "application/jsonl"})


def bundle(id: str) -> Call[bytes]:
    """All of a board in one file."""
    return Call("GET", path_of("boards", id, "bundle"), lambda it: it.content, headers={"accept": "application/zip"})


def why(id: str) -> Call[list[Json]]:
    """Why each source acted or did not."""
    return Call("GET", path_of("boards", id, "why"), lambda it: [dict(each) for each in it.object()["reasons"]])


def activations(id: str) -> Call[list[Json]]:
    """The agenda, in order of appearance."""
    return Call("GET", path_of("boards", id, "activations"), _items)


def calls(id: str, cursor: str, limit: int) -> Call[Json]:
    """A page of a board's calls of models."""
    params = {"limit": limit, "cursor": cursor}
    return Call("GET", path_of("boards", id, "calls"), Answer.object, params=params)


def act(id: str, verb: str) -> Call[Board]:
    """`cancel` or `approve`; the board then. Asking twice comes to the same."""
    return Call("POST", path_of("boards", id, verb), lambda it: board_of(it.object()), harmless=True)


def retry(id: str, activation: str) -> Call[Board]:
    """Try again what failed; the board where that happens."""
    return Call(
        "POST",
        path_of("boards", id, "retry"),
        lambda it: board_of(it.object()),
        headers=once(),
        body=json_body({"activation": activation}) if activation else None,
        harmless=True,
    )


def fork(id: str, at: int | None) -> Call[Board]:
    """Go on from a revision; the new board."""
    return Call(
        "POST",
        path_of("boards", id, "fork"),
        lambda it: board_of(it.object()),
        headers=once(),
        body=json_body({"at": at}) if at is not None else None,
        harmless=True,
    )


def diff(id: str, start: int, end: int | None) -> Call[Json]:
    """What moved between two revisions."""
    return Call("GET", path_of("boards", id, "diff"), Answer.object, params={"from": start, "to": end})


def backfill(id: str, source: str, *, downstream: bool, space: str) -> Call[Board]:
    """Run one more source; the board where it runs."""
    return Call(
        "POST",
        path_of("boards", id, "sources", source),
        lambda it: board_of(it.object()),
        params={"downstream": downstream or None, "space": space},
        headers=once(),
        harmless=True,
    )


def erase(id: str) -> Call[None]:
    """Remove a board, and with it what nothing else refers to."""
    return Call("DELETE", path_of("boards", id), Answer.nothing)


def entries(id: str, level: str, *, space: str, source: str) -> Call[list[Entry]]:
    """What stands on a board, in key order."""
    params = {"level": level, "space": space, "source": source}
    return Call(
        "GET", path_of("boards", id, "entries"), lambda it: [entry_of(each) for each in _items(it)], params=params
    )


def entry(id: str, key: str, version: int | None) -> Call[Entry]:
    """One entry, at its last or an earlier version. A key of the side space is `shadow.<source>.<level>/<name>`."""
    params: Json = {"version": version}
    if is_shadow(key):
        source, key = shadow_parts(key)
        params |= {"space": "shadow", "source": source}
    path, read = _path(id, key), lambda it: entry_of(it.object())
    return Call("GET", path, read, params=params, noun="entry", key=key)


def put_entry(id: str, key: str, value: Any, if_version: int | None, *, pin: bool, confidence: float) -> Call[Entry]:
    """Contribute or correct. `if_version`: None or 0 for a new entry."""
    return Call(
        "PUT",
        _path(id, key),
        lambda it: entry_of(it.object()),
        params={"pin": None if pin else False, "confidence": None if confidence == 1 else f"{confidence:.6f}"},
        headers=_condition(if_version),
        body=json_body(value),
        key=key,
    )


def delete_entry(id: str, key: str, if_version: int) -> Call[None]:
    """Retract."""
    return Call("DELETE", _path(id, key), Answer.nothing, headers=_condition(if_version), noun="entry", key=key)


def commit(
    id: str, writes: Iterable[Put | Retract], checks: Mapping[str, int], revision: int | None
) -> Call[Committed]:
    """Several writes in one step. It has an id of its own, so that it may be sent again."""
    asked = {
        "id": secrets.token_urlsafe(24),
        "writes": [write.shown() for write in writes],
        "checks": dict(checks),
        **({} if revision is None else {"revision": revision}),
    }
    return Call(
        "POST",
        path_of("boards", id, "commits"),
        lambda it: committed_of(it.object()),
        body=json_body(asked),
        harmless=True,
    )


def blob(id: str, sha256: str) -> Call[bytes]:
    """Bytes that a board refers to. Raises ServiceError when others come."""

    def read(answer: Answer) -> bytes:
        if hashlib.sha256(answer.content).hexdigest() != sha256:
            raise ServiceError(f"other bytes came than those of the blob {sha256}")
        return answer.content

    return Call("GET", path_of("blobs", sha256), read, params={"board": id}, headers={"accept": "*/*"}, noun="blob")


def sources() -> Call[Json]:
    """The sources new boards include, as `items`, and the plug-ins that are `broken`."""
    return Call("GET", path_of("sources"), Answer.object)


def source(name: str) -> Call[Json]:
    """One source."""
    return Call("GET", path_of("sources", name), Answer.object, noun="source")


def capabilities() -> Call[Json]:
    """What the service can do: levels, sources, models."""
    return Call("GET", path_of("capabilities"), Answer.object)


def spending(day: str) -> Call[Json]:
    """What models cost on a day, and what is left."""
    return Call("GET", path_of("spending"), Answer.object, params={"day": day})


def _items(answer: Answer) -> list[Json]:
    return [dict(each) for each in answer.object().get("items", ())]


def _path(id: str, key: str) -> str:
    level, _, name = key.partition("/")
    if not level or not name:
        raise UsageError(f"{key!r} is not an entry's key", hint="keys look like page/0001")
    return path_of("boards", id, "entries", level, name)


def _condition(version: int | None) -> dict[str, str]:
    return {"if-match": f'"{version}"'} if version else {"if-none-match": "*"}
