"""Opens a board of its own for each document inside a document: a mail's attachments, an archive's members."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

from blackboard import Blobs, Boards, Child, Document, Each, PermanentFailure, Progress, knowledge_source
from blackboard.sandbox.pool import MIB, Sandboxes
from knowledge_sources.intake import FORMATS, LIMITS, reader

HOLDERS: Final = ("eml", "zip")
"""Kinds of documents that `formats.parts` takes apart."""
UNPACKING: Final = replace(LIMITS, output_bytes=256 * MIB)
"""All members of an archive come out in one call."""


@knowledge_source(version="1", cost="free", timeout=300, when=lambda document: document.kind in HOLDERS)
async def attachments(
    document: Each[Document], blobs: Blobs, sandboxes: Sandboxes, boards: Boards, progress: Progress
) -> AsyncIterator[Child]:
    """A child board for each part of a kind that is read.

    Raises PermanentFailure, after the others have been opened, for a part over a limit.
    """
    data = await blobs.get(document.sha256)
    refused: PermanentFailure | None = None
    part: dict[str, Any] = {}
    done = 0
    sandbox = sandboxes.get(FORMATS, UNPACKING) if document.kind == "zip" else reader(sandboxes)
    async with contextlib.aclosing(sandbox.stream("parts", data, filename=document.filename)) as answers:
        async for answer in answers:
            if isinstance(answer, dict):
                part = answer
                continue
            try:
                child = await boards.open(bytes(answer), filename=part["filename"], declared_type=part["declared_type"])
            except PermanentFailure as error:
                refused = refused or error
                continue
            yield child
            done += 1
            progress(done, done, part["filename"])
    if refused is not None:
        raise refused
