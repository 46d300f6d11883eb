"""What sources that run elsewhere are answered: the task they are given, what a commit came to, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from blackboard.contract import Source
from blackboard.entries import Activation, Answer, Read, level_of
from blackboard.errors import BoardClosed, BoardGone, ConflictError, FencedError
from controller.remote.run import Came


class Cancelled(FencedError):
    """The activation was cancelled, or its board has ended."""

    slug = "cancelled"


class InputsMoved(ConflictError):
    """What the activation read is not what it was; it ended as stale, and is decided anew."""

    slug = "conflict"


class OutOfOrder(ConflictError):
    """A commit's number is not the next one."""

    slug = "out-of-order"


@dataclass(frozen=True, slots=True)
class Task:
    """A claimed activation with what it reads, values whole. Times are the server's, milliseconds since 1970."""

    source: Source
    board: str
    activation: Activation
    lease_until: int
    reads: tuple[tuple[Read, bytes], ...]

    def inputs(self) -> dict[str, list[tuple[Read, bytes]]]:
        """By parameter, in key order level by level."""
        binding = str(self.activation.data["binding"])
        found = {}
        for wanted in self.source.inputs:
            levels = [kind.level for kind in wanted.levels]
            mine = [item for item in self.reads if wanted.kind != "each" or item[0].key == binding]
            found[wanted.parameter] = [item for level in levels for item in mine if level_of(item[0].key) == level]
        return found


@dataclass(frozen=True, slots=True)
class Written:
    """What a commit came to. `wrote`: (key asked for, key written, version or 0 where nothing changed)."""

    status: Came
    revision: int
    already: bool
    wrote: tuple[tuple[str, str, int], ...]
    retracted: tuple[str, ...] = ()
    retry_at: int | None = None
    final: bool = False


def judge(answer: Answer) -> None:
    if answer.status == "fenced":
        raise FencedError("the activation is no longer this worker's")
    if answer.status == "closed":
        raise BoardClosed("the board has ended")
    if answer.status == "gone":
        raise BoardGone("there is no such board")
    if answer.status == "conflict":
        raise InputsMoved("what it read, or wrote, is not what it was", hint="it is decided anew: claim again")


def shown(record: Activation, status: Came, answer: Answer, count: int, *, already: bool) -> Written:
    wrote, rest = answer.wrote[:count], answer.wrote[count:]
    failed = status == "failed"
    return Written(
        status,
        answer.revision,
        already,
        wrote,
        tuple(key for _, key, version in rest if version),
        record.data.get("retry_at") if failed else None,
        failed and bool(record.data.get("dead")),
    )
