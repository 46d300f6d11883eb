"""One source alone: against a document, or against a board as it stood. What it would contribute, and why not.

A document is read first by as many of the other sources as lead to what the source reads. All of it happens on a bench:
no board is written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import Activation, Commit, Fork, Header, entry_key, level_of
from blackboard.errors import BlackboardError, UsageError
from blackboard.levels import Upload
from controller.bench import Bench, as_put, opening
from controller.choice import fetches
from controller.graph import compile_graph

UPLOAD = entry_key(Upload.level, "original")


@dataclass(frozen=True, slots=True)
class Said:
    """One entry it would contribute. `was`: what stands there, on the board it was tried on."""

    key: str
    confidence: float
    value: Any
    was: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one binding. `state` is the binding's: done, skipped, failed, waiting..."""

    binding: str
    state: str
    reason: str
    said: tuple[Said, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What was run first, and what of it failed."""

    sources: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


async def read_document(
    bench: Bench, source: Source, others: Sequence[Source], content: bytes, filename: str
) -> Upstream:
    """Have the other sources read a document as far as the source needs it."""
    others = [other for other in others if not fetches(other)]
    wanted = [kind.level for given in source.inputs for kind in given.levels]
    contributed = {kind.level for other in others for kind in other.outputs}
    goal = tuple(dict.fromkeys(level for level in wanted if level in contributed))
    sha256 = await bench.store.blobs.put(content)
    upload = Upload(sha256=sha256, size=len(content), filename=filename)
    await bench.start([as_put(UPLOAD, upload)], goal=goal)
    if not goal:
        return Upstream()
    needed = tuple(sorted(compile_graph(others, goal).nodes))
    # A failure of theirs must not end the board: what there is, is tried.
    await bench.run([replace(other, required=False) for other in others])
    failed = tuple(f"{each.source} on {each.binding}: {each.error}" for each in bench.failures)
    bench.failures.clear()
    await bench.aim(())
    return Upstream(needed, failed)


async def put_board(bench: Bench, source: Source, board: Board, whole: dict[str, bytes]) -> None:
    """Put a copy of a board on the bench, without what the source itself had done. `whole`: values of what it reads."""
    entries: dict[str, str] = {}
    values: dict[str, bytes] = {}
    for key, text in board.entries.items():
        header = Header.parse(text)
        if header.owner == source.name or key.endswith(f"~{source.name}"):
            continue
        entries[key] = text
        if header.live:
            values[key] = whole.get(key, board.values[key])
    head = {**opening(), **{word: board.head[word] for word in ("filename",) if word in board.head}}
    await bench.open(
        Commit(
            "board.created", "bench", id="copy", mode="person", create=True, head=head, fork=Fork(entries, values, {})
        )
    )


async def run_alone(bench: Bench, source: Source, binding: str = "", *, isolated: bool = False) -> list[Outcome]:
    """Run the source on what stands on the bench; with a `binding` on that one alone. Raises UsageError for another.

    `isolated`: in a process with limits, as a worker runs a third party's; else in this one.
    """
    before = await bench.board()
    # All bindings at once, so that the one that was asked for is not kept waiting by those that are left alone.
    alone = replace(source, required=False, trusted=not isolated, concurrency=1_000_000)

    def chosen(activation: Activation) -> bool:
        return binding in ("", str(activation.data["binding"]))

    await bench.run([alone], only=chosen)
    after = await bench.board()
    found = list(_outcomes(bench, alone, before, after, await bench.why([alone])))
    if not binding:
        return found
    known = [each.binding for each in found]
    if binding not in known:
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise UsageError(f"{source.name} has no binding {binding} here", hint=f"there are: {shown or 'none'}")
    return [each for each in found if each.binding == binding]


def _outcomes(bench: Bench, source: Source, before: Board, after: Board, reasons: Sequence[Any]) -> Iterator[Outcome]:
    errors = {each.binding: each.error for each in bench.failures}
    made: dict[str, list[Said]] = {}
    for key, text in sorted(after.entries.items()):
        header = Header.parse(text)
        if header.live and text != before.entries.get(key) and header.owner == source.name:
            activation = after.activation(header.activation)
            if activation is not None:
                made.setdefault(str(activation.data["binding"]), []).append(_said(key, header, before, after))
    for reason in reasons:
        if not reason.source:
            continue
        error = errors.get(reason.binding) if reason.state == "failed" else None
        hint = error.hint if isinstance(error, BlackboardError) else ""
        told = f"{type(error).__name__}: {error}" if error is not None else reason.reason
        yield Outcome(reason.binding, reason.state, told, tuple(made.get(reason.binding, ())), hint)


def _said(key: str, header: Header, before: Board, after: Board) -> Said:
    beside = key.partition("~")[0]
    was = before.header(beside)
    words = ""
    if was is not None and was.live:
        words = (
            f"beside {beside} of {was.owner}" if beside != key else f"instead of version {was.version} of {was.owner}"
        )
    return Said(key, header.confidence, orjson.loads(after.values[key]), words)


def keys_read(source: Source, board: Board) -> list[str]:
    """Live entries that the source may read: their values must be whole before it runs."""
    levels = {kind.level for given in source.inputs for kind in given.levels}
    return [key for key in board.values if level_of(key) in levels]
