"""A third party's source that takes a document apart: every line of it is a document of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from blackboard import Blobs, Boards, Child, Each, Level, Upload, knowledge_source

LARGE = 9_000_000


class Line(Level):
    """The first words of a document."""

    text: str
    size: int


@knowledge_source(timeout=20)
async def lines(upload: Each[Upload], blobs: Blobs, boards: Boards) -> AsyncIterator[Child]:
    """Opens a board for each line; one that says so is made large."""
    found = (await blobs.get(upload.sha256)).decode().split("\n")
    for number, line in enumerate(found if len(found) > 1 else (), 1):
        text = line.ljust(LARGE) if line == "large" else line
        yield await boards.open(text.encode(), filename=f"line {number}.txt", name=line if line == "../up" else None)


@knowledge_source(timeout=20)
async def reads(upload: Each[Upload], blobs: Blobs) -> Line:
    """What a document says."""
    data = await blobs.get(upload.sha256)
    return Line(text=data[:20].decode().strip(), size=len(data))
