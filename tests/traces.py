"""Everything a server and a folder hold, as bytes to look for words in."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.making import until

READERS = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"list": ("LRANGE", 0, -1),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


async def kept_on(url: str) -> dict[str, bytes]:
    """Key -> its name and all it holds; what is compressed also as it was."""
    async with Redis.from_url(url) as client:
        found = {}
        async for key in client.scan_iter(count=1000):
            command, *more = READERS[await client.type(key)]
            found[key.decode()] = key + b"\n" + _flat(await client.execute_command(command, key, *more))
        return found


def kept_in(folder: Path) -> dict[str, bytes]:
    """File -> its path and all it holds; what is compressed also as it was."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): str(path).encode() + b"\n" + _plain(path.read_bytes()) for path in files}


async def rewritten(url: str) -> dict[str, bytes]:
    """The files of the append-only log after it was rewritten, as plain as they can be."""
    async with Redis.from_url(url, decode_responses=True) as client:
        await client.config_set("rdbcompression", "no")
        folder = Path((await client.config_get("dir"))["dir"])
        name = (await client.config_get("appenddirname"))["appenddirname"]
        await client.bgrewriteaof()

        async def over() -> bool:
            state = await client.info("persistence")
            return not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]

        await until(over)
        # A file that was replaced is removed in the background.
        await until(lambda: _whole(folder / name))
    return kept_in(folder / name)


async def _whole(folder: Path) -> bool:
    (manifest,) = folder.glob("*.manifest")
    named = set(re.findall(r"^file (\S+)", manifest.read_text(), re.MULTILINE))
    return named == {path.name for path in folder.iterdir()} - {manifest.name}


def holding(kept: dict[str, bytes], word: str) -> list[str]:
    """What holds a word, however it is written."""
    return sorted(name for name, data in kept.items() if word.lower().encode() in data.lower())


def _flat(reply: Any) -> bytes:
    if isinstance(reply, dict):
        return b"\n".join(_flat(part) for pair in reply.items() for part in pair)
    if isinstance(reply, list | tuple | set):
        return b"\n".join(map(_flat, reply))
    return _plain(reply) if isinstance(reply, bytes) else str(reply).encode()


def _plain(data: bytes) -> bytes:
    """With what an answer of a model, or a stream of a PDF, holds packed."""
    found = [data]
    for at in (match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data)):
        try:
            found.append(zlib.decompressobj().decompress(data[at:], 1 << 24))
        except zlib.error:
            continue
    return b"\n".join(found)
