"""Says what a submitted document is, or in plain words why it cannot be read."""

from __future__ import annotations

import os
from typing import Final

from blackboard import Blobs, Document, Each, Upload, knowledge_source
from blackboard.sandbox.pool import MIB, Limits, Sandbox, Sandboxes
from knowledge_sources.formats.limits import MAX_BYTES, too_large

FORMATS: Final = "knowledge_sources.formats.serving:serve"
"""The target of the sandbox in which documents are parsed."""
LIMITS: Final = Limits(memory_bytes=1024 * MIB, resident_bytes=400 * MIB, cpu_s=30, wall_s=60)
"""A picture of 50 million pixels is 150 MB as RGB and as much again while it is converted."""

PROCESSES: Final = max(2, min(4, os.cpu_count() or 2))
"""More than one: a long document that is read page by page must not hold up the next one."""


def reader(sandboxes: Sandboxes) -> Sandbox:
    """The sandbox that parses documents of every kind."""
    return sandboxes.get(FORMATS, LIMITS, processes=PROCESSES)


@knowledge_source(version="1", cost="free", timeout=90, required=True)
async def intake(upload: Each[Upload], blobs: Blobs, sandboxes: Sandboxes) -> Document:
    """The document's kind by its content, and how many pages there are.

    Raises DocumentUnreadable, DocumentTooComplex or DocumentUnsafe, with what to do about it.
    """
    if upload.size > MAX_BYTES:
        raise too_large(upload.size)
    data = await blobs.get(upload.sha256)
    found = await reader(sandboxes).call("inspect", data, filename=upload.filename)
    return Document(sha256=upload.sha256, filename=upload.filename, **found)
