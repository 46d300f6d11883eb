"""What sources that run elsewhere ask for: the shapes of their requests, and contributions checked one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blackboard.contract import Contribution, Source
from blackboard.contributions import Namer
from blackboard.entries import NAME, Put, level_of
from blackboard.errors import PermanentFailure
from blackboard.levels import Level
from controller.values import InvalidValue, pointer, pointers

MOST_ENTRIES = 1000
"""In one commit."""
MOST_IN_ALL = 10_000
"""In one activation."""
LONGEST_POLL_S = 30.0
NUMBER = re.compile(r"-([1-9][0-9]{0,8})\Z")


class Request(BaseModel):
    """A request's object; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClaimRequest(Request):
    """Asks for work. `wait_s`: how long the answer may take when there is none."""

    sources: Annotated[
        list[Annotated[str, Field(max_length=130)]],
        Field(min_length=1, max_length=64, description="`name@version`, or `name` for the registered version."),
    ]
    worker: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "anonymous"
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_POLL_S)] = 20.0


BoardWord = Annotated[str, Field(max_length=64, description="The claim's `board`.")]
Epoch = Annotated[int, Field(ge=1, le=10**9, description="The claim's `epoch`.")]


class ProgressRequest(Request):
    """How far it is, for whoever watches."""

    done: Annotated[float, Field(ge=0)]
    total: Annotated[float, Field(ge=0)]
    note: Annotated[str, Field(max_length=200)] = ""


class RenewRequest(Request):
    """Keeps an activation for another lease."""

    board: BoardWord
    epoch: Epoch
    progress: ProgressRequest | None = None


class EntryRequest(Request):
    """One contribution. Without a `name` it is named by its level's fields, or numbered."""

    level: Annotated[str, Field(max_length=64)]
    value: Any
    name: Annotated[str | None, Field(max_length=128)] = None
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class ErrorRequest(Request):
    """Why it failed. `permanent`: trying again cannot help. `after_s`: it did not fail, it must wait so many seconds."""

    message: Annotated[str, Field(min_length=1, max_length=2000)]
    permanent: bool = False
    after_s: Annotated[
        float | None, Field(ge=0, le=86_400, description="Not now: tried again then, and this try counts for nothing.")
    ] = None


class SpentRequest(Request):
    """What it has cost since its last commit."""

    usd: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    tokens: Annotated[int, Field(ge=0, le=10**12)] = 0


class CommitRequest(Request):
    """Contributions, and how the activation ends (`status` null: it goes on). `n` counts its commits: 1, 2, 3..."""

    board: BoardWord
    epoch: Epoch
    n: Annotated[int, Field(ge=1, le=10**6)]
    entries: Annotated[list[EntryRequest], Field(max_length=MOST_ENTRIES)] = []
    status: Literal["done", "failed", "released"] | None = None
    error: ErrorRequest | None = None
    spent: SpentRequest = SpentRequest()

    def check(self) -> None:
        """What goes with what. Raises InvalidValue."""
        if (self.status == "failed") != (self.error is not None):
            raise InvalidValue([("/error", "goes with status `failed`, and only with it")])
        if self.error is not None and self.error.permanent and self.error.after_s is not None:
            raise InvalidValue([("/error/after_s", "what failed for good is not tried again")])
        if self.status == "released" and self.entries:
            raise InvalidValue([("/entries", "what is given back contributes nothing")])
        if self.status is None and not self.entries:
            raise InvalidValue([("/entries", "a commit that is not the last one must contribute something")])


def puts_of(
    source: Source, binding: str, named: Sequence[str], entries: Sequence[EntryRequest], *, prefix: str = ""
) -> list[Put]:
    """Contributions as they are written. `named`: the keys this activation contributed before; `prefix`: a shadow's.

    Raises InvalidValue with a pointer to each part that is off.
    """
    if len(named) + len(entries) > MOST_IN_ALL:
        raise InvalidValue([("/entries", f"one activation may contribute at most {MOST_IN_ALL} entries")])
    kinds = {kind.level: kind for kind in source.outputs}
    namer = Numbered(source, binding, named, prefix)
    errors: list[tuple[str, str]] = []
    puts: list[Put] = []
    for number, entry in enumerate(entries):
        kind = kinds.get(entry.level)
        if kind is None:
            errors.append((pointer("entries", number, "level"), f"not declared; there are {', '.join(kinds)}"))
            continue
        if entry.name is not None and not NAME.match(entry.name):
            errors.append((pointer("entries", number, "name"), "letters, digits, '.', '_' and '-' only, at most 128"))
            continue
        try:
            value = _value(kind, entry.value, ("entries", number, "value"))
            puts.append(namer.put(Contribution(value, entry.confidence, entry.name)))
        except InvalidValue as error:
            errors.extend(error.errors)
        except PermanentFailure:
            errors.append((pointer("entries", number, "name"), "this entry was contributed already"))
    if errors:
        raise InvalidValue(errors[:100])
    return puts


def _value(kind: type[Level], value: Any, path: tuple[str | int, ...]) -> Level:
    try:
        # JSON mode, because only there does strictness let a list stand for a tuple.
        return kind.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        raise InvalidValue((pointer(*path) + where, said) for where, said in pointers(error)) from None


class Numbered(Namer):
    """A namer that goes on where earlier requests stopped."""

    def __init__(self, source: Source, binding: str, named: Iterable[str], prefix: str) -> None:
        super().__init__(source, binding, prefix=prefix)
        for key in named:
            self.named.add(key)
            if found := NUMBER.search(key):
                level = level_of(key.removeprefix(prefix))
                self._counts[level] = max(self._counts.get(level, 0), int(found[1]))
