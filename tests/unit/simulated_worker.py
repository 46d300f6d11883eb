"""One simulated worker: what it makes of a claimed activation, and the commits it would make. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from blackboard.board import Board
from blackboard.contract import Contribution, Group, Source
from blackboard.entries import (
    Activation,
    ActivationStatus,
    AgendaWrite,
    Answer,
    Claimed,
    Commit,
    Put,
    Retract,
    entry_key,
    is_rival,
    is_shadow,
    level_of,
)
from blackboard.levels import Level
from controller.tracks import mark


class Looks:
    """A `Lookup[X]` of the simulation: plain calls, and it remembers what was read."""

    def __init__(self, board: Board, kinds: Iterable[type[Level]], looked: dict[str, Any]) -> None:
        self._board, self._kinds, self._looked = board, {kind.level: kind for kind in kinds}, looked

    def all(self) -> list[Level]:
        """Every entry there is now."""
        found = []
        for level, kind in self._kinds.items():
            total = 0
            for key in sorted(self._board.values):
                header = self._board.header(key)
                if header is not None and level_of(key) == level and not is_rival(key):
                    total = (total + mark(key, header.version)) & ((1 << 128) - 1)
                    found.append(kind.model_validate_json(self._board.values[key]))
            self._looked["levels"][level] = f"{total:x}"
        return found


@dataclass
class Worker:
    """One claimed activation in somebody's hands: what it will contribute, or the words it fails with."""

    activation: Activation
    source: Source
    given: dict[str, Any]
    looked: dict[str, Any]
    left: list[Put]
    own: dict[str, int]
    """Each and Group inputs at the versions this worker counts on; its own writes move them on."""
    before: set[str]
    """Keys earlier runs and epochs left behind."""
    error: str = ""
    usd: float = 0.0
    tokens: int = 0
    sure: dict[str, float] = field(default_factory=dict)
    """Confidences of what was contributed to the level it was awarded for."""
    asked: set[str] = field(default_factory=set)
    partials: int = 0

    @classmethod
    def of(cls, source: Source, claimed: Claimed, board: Board) -> Worker:
        """Run the source on what the claim read."""
        activation = claimed.activation
        assert activation is not None
        looked: dict[str, Any] = {"keys": {}, "levels": {}}
        values = {read.key: read.value for read in claimed.reads if read.value is not None}
        own = {key: version for key, version, checked in activation.inputs if checked}
        given = arguments(source, activation, values, board, looked)
        taken = activation.data.get("award", {}).get("taken", ())
        made = [as_put(contribution, source) for contribution in source.function(**given)]
        made = [_beside(put, source.name) if put.key in taken else put for put in made]
        before = {*claimed.wrote, *activation.data.get("previous", ())}
        return cls(activation, source, given, looked, made, own, before)

    def _commit(self, status: ActivationStatus | None, data: Mapping[str, Any], **more: Any) -> Commit:
        activation, kind = self.activation, "contribution.committed"
        agenda: tuple[AgendaWrite, ...] = ()
        if status is not None:
            ended = Activation(activation.id, status, activation.epoch, activation.inputs, {**activation.data, **data})
            agenda = (AgendaWrite(ended),)
            kind = "activation.failed" if status == "failed" else kind
        return Commit(
            kind,
            self.source.name,
            mode="reviser" if self.source.revises else "source",
            activation=activation.id,
            fence=(activation.id, activation.epoch),
            agenda=agenda,
            **more,
        )

    def part(self) -> Commit:
        """The first of what is left, before the run ends."""
        put = self.left.pop(0)
        self.asked.add(put.key)
        self._weigh([put])
        self.partials += 1
        return self._commit(None, {}, writes=(put,), checks=tuple(self.own.items()))

    def last(self) -> Commit:
        """All that is left, what is no longer produced retracted, the activation done."""
        asked = sorted(self.asked | {put.key for put in self.left})
        gone = [Retract(key, self.source.name) for key in sorted(self.before - set(asked))]
        data: dict[str, Any] = {"wrote": asked}
        if "award" in self.activation.data:
            self._weigh(self.left)
            data["quality"] = sum(self.sure.values()) / len(self.sure) if self.sure else 0.0
        if self.usd:
            data["usd"] = self.usd
        if self.tokens:
            data["tokens"] = self.tokens
        if any(self.looked.values()):
            data["lookups"] = self.looked
        return self._commit("done", data, writes=(*self.left, *gone), checks=tuple(self.own.items()))

    def _weigh(self, puts: Iterable[Put]) -> None:
        if award := self.activation.data.get("award"):
            self.sure |= {put.key: put.confidence for put in puts if level_of(put.key) == award["level"]}

    def failure(self, attempts: int, retry_at: int | None) -> Commit:
        """A failure, for good without a time to try again."""
        data: dict[str, Any] = {"attempts": attempts, "error": {"slug": "broken", "message": self.error or "hiccup"}}
        if retry_at is not None:
            data["retry_at"] = retry_at
        return self._commit("failed", data)

    def stale(self) -> Commit:
        """Its inputs have moved: it ends without a result."""
        return self._commit("stale", {"stales": self.activation.data.get("stales", 0) + 1})

    def learn(self, answer: Answer) -> None:
        """What it wrote itself does not make its inputs stale."""
        for _, key, version in answer.wrote:
            if key in self.own and version:
                self.own[key] = version


def arguments(
    source: Source, activation: Activation, values: Mapping[str, bytes], board: Board, looked: dict[str, Any]
) -> dict[str, Any]:
    """The declared inputs by parameter."""
    given: dict[str, Any] = {}
    own = {key for key, _, checked in activation.inputs if checked}
    for wanted in source.inputs:
        kinds = {kind.level: kind for kind in wanted.levels}
        items = [
            kinds[level_of(key)].model_validate_json(values[key])
            for key in sorted(values)
            if level_of(key) in kinds and (wanted.kind == "all" or key in own)
        ]
        if wanted.kind == "lookup":
            given[wanted.parameter] = Looks(board, wanted.levels, looked)
        elif wanted.kind == "each":
            given[wanted.parameter] = items[0]
        elif wanted.kind == "group":
            given[wanted.parameter] = Group(activation.data["binding"], items)
        else:
            given[wanted.parameter] = tuple(items)
    return given


def as_put(made: Contribution[Any], source: Source) -> Put:
    """A named contribution as a write; a shadow's goes to the side space."""
    prefix = f"{source.name}." if is_shadow(source.name) else ""
    assert made.name is not None, "a simulated source names what it contributes"
    value = orjson.dumps(made.value.model_dump(mode="json"))
    return Put(prefix + entry_key(made.value.level, made.name), value, made.confidence)


def _beside(put: Put, source: str) -> Put:
    """The entry beside a rival's; its text begins with its name, too."""
    value = orjson.loads(put.value)
    name, colon, rest = value["text"].partition(":")
    return replace(
        put, key=f"{put.key}.{source}", value=orjson.dumps({**value, "text": f"{name}.{source}{colon}{rest}"})
    )
