"""Documents that hold documents, taken apart by whole processes that tests may kill.

python -m tests.kin_fleet ROLE...          with BLACKBOARD_* in the environment
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import orjson

from blackboard import All, Blobs, Boards, Child, Each, Level, Upload, knowledge_source
from tests.fleet import main, work


class Leaf(Level):
    """What a document says."""

    text: str


class Tree(Level):
    """What a document and those in it come to."""

    leaves: int


@knowledge_source(required=True, timeout=20)
async def unpack(upload: Each[Upload], blobs: Blobs, boards: Boards) -> AsyncIterator[Child]:
    """A board for each document inside."""
    for number, part in enumerate(orjson.loads(await blobs.get(upload.sha256))["parts"]):
        await work(0.05)
        child = await boards.open(orjson.dumps(part), name=f"part-{number}")
        await work(0.05)
        yield child


@knowledge_source(required=True, timeout=20)
async def read(upload: Each[Upload], blobs: Blobs) -> Leaf:
    """What the document itself says."""
    await work(0.1)
    return Leaf(text=orjson.loads(await blobs.get(upload.sha256))["says"])


@knowledge_source(required=True, timeout=20)
async def grow(leaves: All[Leaf], children: All[Child]) -> Tree:
    """Counts."""
    return Tree(leaves=len(leaves) + sum(child.boards for child in children if child.status == "completed"))


SOURCES = (unpack, read, grow)

if __name__ == "__main__":
    asyncio.run(main(frozenset(sys.argv[1:]), SOURCES))
