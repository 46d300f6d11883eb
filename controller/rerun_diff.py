"""Two sets of contributions side by side, told so that a person sees what moved. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

SHOWN = 60
"""Characters of a text that a line shows, beginning where the two part."""
MOST_LINES = 12
"""Lines for one entry."""

Said = tuple[bytes, float]
"""A value as JSON, and its confidence."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key that came out otherwise. `lines`: where the two values part, `field: then -> now`."""

    key: str
    kind: Literal["new", "lost", "changed"]
    lines: tuple[str, ...] = ()


def changes(before: Mapping[str, Said], now: Mapping[str, Said]) -> Iterator[Change]:
    """Where two sets of contributions part, in the order of the keys. Fields' order and spaces in JSON do not count."""
    for key in sorted(before.keys() | now.keys()):
        if key not in before:
            yield Change(key, "new", (_value(now[key][0]),))
        elif key not in now:
            yield Change(key, "lost", (_value(before[key][0]),))
        elif before[key] != now[key]:
            lines = list(_parting("", orjson.loads(before[key][0]), orjson.loads(now[key][0])))
            if before[key][1] != now[key][1]:
                lines.append(f"confidence: {before[key][1]:g} -> {now[key][1]:g}")
            if len(lines) > MOST_LINES:
                lines[MOST_LINES - 1 :] = [f"and {len(lines) - MOST_LINES + 1} more places"]
            if lines:
                yield Change(key, "changed", tuple(lines))


def digest(said: Mapping[str, Said]) -> str:
    """The same for the same contributions: SHA-256 in hexadecimal."""
    plain = [(key, orjson.loads(value), f"{confidence:.4g}") for key, (value, confidence) in sorted(said.items())]
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _parting(where: str, was: Any, now: Any) -> Iterator[str]:
    if was == now and type(was) is type(now):
        return
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys()):
            path = f"{where}.{name}" if where else str(name)
            if name not in was:
                yield f"{path}: new: {_shown(now[name])}"
            elif name not in now:
                yield f"{path}: lost: {_shown(was[name])}"
            else:
                yield from _parting(path, was[name], now[name])
    elif isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now):
            yield f"{where or 'it'}: {len(was)} items -> {len(now)}"
        for at, (one, two) in enumerate(zip(was, now, strict=False)):
            yield from _parting(f"{where}[{at}]", one, two)
        for at in range(len(now), len(was)):
            yield f"{where}[{at}]: lost: {_shown(was[at])}"
        for at in range(len(was), len(now)):
            yield f"{where}[{at}]: new: {_shown(now[at])}"
    elif isinstance(was, str) and isinstance(now, str):
        at = next(
            (i for i, (one, two) in enumerate(zip(was, now, strict=False)) if one != two), min(len(was), len(now))
        )
        begin = max(0, at - SHOWN // 3)
        yield f"{where or 'it'}: {_shown(was, begin)} -> {_shown(now, begin)}"
    else:
        yield f"{where or 'it'}: {_shown(was)} -> {_shown(now)}"


def _value(value: bytes) -> str:
    return _cut(value.decode(), 2 * SHOWN)


def _shown(value: Any, begin: int = 0) -> str:
    if isinstance(value, str):
        text = value[begin:]
        return f"{'…' if begin else ''}{_cut(orjson.dumps(text[: SHOWN + 1]).decode(), SHOWN + 2)}"
    return _cut(orjson.dumps(value).decode(), SHOWN)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
