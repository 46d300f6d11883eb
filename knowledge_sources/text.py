"""The text layer of every page, page by page as it is parsed. No OCR here: a layer only says whether it is needed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from blackboard import Blobs, Document, Each, Layer, Progress, knowledge_source
from blackboard.sandbox.pool import Sandboxes
from knowledge_sources.intake import reader


@knowledge_source(version="1", cost="free", timeout=600, required=True)
async def layers(
    document: Each[Document], blobs: Blobs, sandboxes: Sandboxes, progress: Progress
) -> AsyncIterator[Layer]:
    """One layer for each page, its lines with exact offsets and boxes where the format has them.

    Raises DocumentTooComplex or DocumentUnreadable, with what to do about it.
    """
    data = await blobs.get(document.sha256)
    # Closed by hand: an activation that is cancelled between two pages must end its process at once.
    async with contextlib.aclosing(reader(sandboxes).stream("layers", data, filename=document.filename)) as pages:
        done = 0
        async for page in pages:
            yield Layer.model_validate(page)
            done += 1
            progress(done, document.pages, f"page {done} of {document.pages}")
