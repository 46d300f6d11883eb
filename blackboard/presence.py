"""Which workers are there and what they serve, as the server last knew it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def served(source: str, version: str) -> str:
    """`source@version`: one thing a worker can serve."""
    return f"{source}@{version}"


@dataclass(frozen=True, slots=True)
class Presence:
    """Workers heard of within their lifetime. Times are the server's, milliseconds since 1970."""

    at: int
    """When this was read."""
    workers: Mapping[str, tuple[str, ...]]
    """Worker -> what it serves, as `source@version`."""
    heard: Mapping[str, int]
    """`source@version` -> when somebody who serves it was last heard of."""

    def serving(self, source: str, version: str) -> tuple[str, ...]:
        """The workers that serve this version, by name."""
        word = served(source, version)
        return tuple(sorted(name for name, words in self.workers.items() if word in words))

    def versions(self, source: str) -> dict[str, int]:
        """Version -> how many workers serve it; versions nobody serves are left out."""
        found: dict[str, int] = {}
        for words in self.workers.values():
            for word in words:
                name, _, version = word.rpartition("@")
                if name == source:
                    found[version] = found.get(version, 0) + 1
        return found

    def since(self, source: str, version: str, earliest: int) -> int | None:
        """Since when nobody serves it, not counting time before `earliest`; None while somebody does."""
        if self.serving(source, version):
            return None
        return max(earliest, self.heard.get(served(source, version), 0))


def words_of(sources: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What a worker with these (source, version) pairs serves."""
    return tuple(sorted(served(name, version) for name, version in sources))
