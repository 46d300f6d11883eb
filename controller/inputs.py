"""Between entries and what an author's function takes and yields: decode inputs, name outputs, record lookups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import orjson

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.contract import Contribution, Group, Source
from blackboard.entries import EntryRef, Header, Put, Read, entry_key, is_rival, level_of, name_of
from blackboard.errors import PermanentFailure
from blackboard.levels import Level
from blackboard.ports import Store
from controller.tracks import mark


class Decoder:
    """Entries as instances of their levels. Large ones are kept for a while, because many activations read them."""

    LARGE = 16 * 1024

    def __init__(self, store: Store, *, most_bytes: int = 64 * 1024 * 1024) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str, int, str], tuple[int, Level]] = OrderedDict()
        self._bytes = 0
        self._most = most_bytes

    async def decode(self, board: str, kind: type[Level], read: Read) -> Level:
        """One live entry. Raises PermanentFailure when its bytes are lost, StorageError."""
        assert read.header is not None and read.value is not None
        # The digest too: a server restarted without its tail hands out the same versions for other content.
        slot = (board, read.key, read.header.version, read.header.digest)
        known = self._kept.get(slot)
        if known is not None:
            self._kept.move_to_end(slot)
            return known[1]
        try:
            value = await self._store.resolve(read.value)
        except (BlobMissing, BlobCorrupt) as error:
            raise PermanentFailure(f"the bytes of {read.key} are lost: {error}", hint="submit it again") from error
        header = read.header
        found = kind.model_validate_json(value).read_from(
            EntryRef(read.key, header.version, header.owner, header.confidence)
        )
        # Somebody else may have decoded it while its bytes were fetched.
        if len(value) >= self.LARGE and slot not in self._kept:
            self._kept[slot] = (len(value), found)
            self._bytes += len(value)
            while self._bytes > self._most:
                _, (size, _) = self._kept.popitem(last=False)
                self._bytes -= size
        return found


class Looked:
    """What an activation looked up, so that it runs again when that changes."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}
        self.levels: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.keys or self.levels)

    def as_data(self) -> dict[str, Any]:
        """The form the agenda keeps: versions, and level signatures in hexadecimal."""
        return {"keys": self.keys, "levels": {level: f"{total:x}" for level, total in self.levels.items()}}


class LookupReader:
    """A source's `Lookup[X]`: reads the store, remembers what was read."""

    def __init__(
        self, store: Store, decoder: Decoder, board: str, levels: Sequence[type[Level]], looked: Looked
    ) -> None:
        self._store, self._decoder, self._board, self._looked = store, decoder, board, looked
        self._kinds = {kind.level: kind for kind in levels}

    async def get(self, name: str) -> Level | None:
        """See contract.Lookup."""
        for level, kind in self._kinds.items():
            key = entry_key(level, name)
            found = await self._store.entry(self._board, key)
            header = Header.parse(found[0]) if found else None
            live = header is not None and header.live
            self._looked.keys[key] = header.version if header is not None and live else 0
            if found is not None and live:
                return await self._decoder.decode(self._board, kind, Read(key, header, found[1]))
        return None

    async def all(self) -> AsyncIterator[Level]:
        """See contract.Lookup."""
        board = await self._store.projection(self._board)
        for level, kind in self._kinds.items():
            total = 0
            found: list[Read] = []
            for key, text in sorted(board.entries.items()) if board else ():
                header = Header.parse(text)
                if level_of(key) == level and header.live and not is_rival(key) and board:
                    total = (total + mark(key, header.version)) & ((1 << 128) - 1)
                    found.append(Read(key, header, board.values[key]))
            self._looked.levels[level] = total
            for read in found:
                yield await self._decoder.decode(self._board, kind, read)


async def arguments(
    source: Source, binding: str, reads: Sequence[Read], board: str, decoder: Decoder, store: Store, looked: Looked
) -> dict[str, Any]:
    """The declared inputs, by parameter. Entries that are gone by now are left out."""
    by_level: dict[str, list[Read]] = {}
    for read in reads:
        if read.value is not None:
            by_level.setdefault(level_of(read.key), []).append(read)
    given: dict[str, Any] = {}
    for wanted in source.inputs:
        if wanted.kind == "lookup":
            given[wanted.parameter] = LookupReader(store, decoder, board, wanted.levels, looked)
            continue
        items = [
            await decoder.decode(board, kind, read)
            for kind in wanted.levels
            for read in by_level.get(kind.level, ())
            if wanted.kind != "each" or read.key == binding
        ]
        if wanted.kind == "each":
            given[wanted.parameter] = items[0]
        elif wanted.kind == "group":
            given[wanted.parameter] = Group(binding, items)
        else:
            given[wanted.parameter] = tuple(items)
    return given


def injected(source: Source, services: Mapping[Any, Any]) -> dict[str, Any]:
    """What the worker hands in besides inputs, by parameter. Raises PermanentFailure for a type nobody provides."""
    given: dict[str, Any] = {}
    for parameter, wanted in source.injected.items():
        kind = get_args(wanted)[0] if get_origin(wanted) is not None else wanted
        if kind not in services:
            name = getattr(kind, "__name__", str(kind))
            raise PermanentFailure(
                f"source {source.name} asks for {parameter}: {name}, which this worker does not hand in",
                hint="declare an input (Each, Group, All, Lookup) or a type the worker knows",
            )
        given[parameter] = services[kind]
    return given


class Namer:
    """Turns what a source yields into puts, each under its name."""

    def __init__(self, source: Source, binding: str) -> None:
        self._source = source
        self._base = name_of(binding) or binding
        self._counts: dict[str, int] = {}
        self.named: set[str] = set()

    def put(self, yielded: Any) -> Put:
        """One contribution. Raises PermanentFailure for what the source did not declare, or a name given twice."""
        given = yielded if isinstance(yielded, Contribution) else Contribution(yielded)
        value = given.value
        if not isinstance(value, self._source.outputs):
            names = ", ".join(kind.__name__ for kind in self._source.outputs)
            raise PermanentFailure(
                f"source {self._source.name} contributed {type(value).__name__}, but declares {names}",
                hint="add it to the return type",
            )
        key = entry_key(value.level, given.name or self._name(value))
        if key in self.named:
            raise PermanentFailure(
                f"source {self._source.name} contributed {key} twice in one run",
                hint="give each value a name of its own",
            )
        self.named.add(key)
        confidence = given.confidence
        if confidence == 1.0:
            confidence = float(getattr(value, "confidence", 1.0))
        return Put(key, orjson.dumps(value.model_dump(mode="json")), confidence)

    def _name(self, value: Level) -> str:
        if name := entry_name(value):
            return name
        count = self._counts[value.level] = self._counts.get(value.level, 0) + 1
        return f"{_word(self._base)}-{count}"


def entry_name(value: Level) -> str:
    """The name that the fields in `named_by` make; "" for a level without."""
    return ".".join(_word(getattr(value, field)) for field in value.named_by)


def _word(value: Any) -> str:
    """A field's value as part of a name: numbers padded so that names sort, other signs than the grammar's replaced."""
    if isinstance(value, int):
        return f"{value:04d}"
    text = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in str(value))
    return text.strip("-._")[:96] or "x"
