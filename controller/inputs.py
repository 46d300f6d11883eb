"""From entries to what an author's function takes: choose and decode inputs, record lookups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.contract import Group, Input, Source
from blackboard.entries import EntryRef, Header, Read, entry_key, is_rival, level_of
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
        value = await self.raw(read)
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

    async def raw(self, read: Read) -> bytes:
        """One live entry's JSON. Raises PermanentFailure when its bytes are lost, StorageError."""
        assert read.value is not None
        try:
            return await self._store.resolve(read.value)
        except (BlobMissing, BlobCorrupt) as error:
            raise PermanentFailure(f"the bytes of {read.key} are lost: {error}", hint="submit it again") from error


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
        found = await self.find(name)
        return None if found is None else await self._decoder.decode(self._board, *found)

    async def all(self) -> AsyncIterator[Level]:
        """See contract.Lookup."""
        for found in await self.find_all():
            yield await self._decoder.decode(self._board, *found)

    async def find(self, name: str) -> tuple[type[Level], Read] | None:
        """One entry as it is stored, and recorded as looked up."""
        for level, kind in self._kinds.items():
            key = entry_key(level, name)
            found = await self._store.entry(self._board, key)
            header = Header.parse(found[0]) if found else None
            live = header is not None and header.live
            self._looked.keys[key] = header.version if header is not None and live else 0
            if found is not None and live:
                return kind, Read(key, header, found[1])
        return None

    async def find_all(self) -> list[tuple[type[Level], Read]]:
        """Every entry there is now as it is stored, and recorded as looked up."""
        board = await self._store.projection(self._board)
        reads: list[tuple[type[Level], Read]] = []
        for level, kind in self._kinds.items():
            total = 0
            for key, text in sorted(board.entries.items()) if board else ():
                header = Header.parse(text)
                if level_of(key) == level and header.live and not is_rival(key) and board:
                    total = (total + mark(key, header.version)) & ((1 << 128) - 1)
                    reads.append((kind, Read(key, header, board.values[key])))
            self._looked.levels[level] = total
        return reads


def chosen(
    source: Source, binding: str, reads: Sequence[Read]
) -> Iterator[tuple[Input, list[tuple[type[Level], Read]]]]:
    """The entries of each declared input but lookups, in the order of their keys. Those that are gone by now are left out."""
    by_level: dict[str, list[Read]] = {}
    # What is an Each or Group input and an All input, too, was read twice, and the first time out of order.
    for _, read in sorted({read.key: read for read in reads}.items()):
        if read.value is not None:
            by_level.setdefault(level_of(read.key), []).append(read)
    for wanted in source.inputs:
        if wanted.kind != "lookup":
            yield (
                wanted,
                [
                    (kind, read)
                    for kind in wanted.levels
                    for read in by_level.get(kind.level, ())
                    if wanted.kind != "each" or read.key == binding
                ],
            )


def lookups(source: Source, board: str, decoder: Decoder, store: Store, looked: Looked) -> dict[str, LookupReader]:
    """The declared lookups, by parameter."""
    return {
        wanted.parameter: LookupReader(store, decoder, board, wanted.levels, looked)
        for wanted in source.inputs
        if wanted.kind == "lookup"
    }


async def arguments(
    source: Source, binding: str, reads: Sequence[Read], board: str, decoder: Decoder, store: Store, looked: Looked
) -> dict[str, Any]:
    """The declared inputs, by parameter. Entries that are gone by now are left out."""
    given: dict[str, Any] = dict(lookups(source, board, decoder, store, looked))
    for wanted, found in chosen(source, binding, reads):
        items = [await decoder.decode(board, kind, read) for kind, read in found]
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
