"""The sources `ocr` and `ocr_fast`: read the pages whose text layer is missing or cannot be trusted, in a process with
limits. Both do the same work, one thoroughly, one with fewer pixels: they compete where a board's policy says so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from blackboard import (
    All,
    Blobs,
    Contribution,
    Document,
    Each,
    Layer,
    Progress,
    Reading,
    SourceSettings,
    knowledge_source,
)
from blackboard.errors import PermanentFailure
from blackboard.sandbox.pool import MIB, Limits, Sandboxes
from knowledge_sources.ocr_bids import fast_bid, thorough_bid
from knowledge_sources.ocr_pace import PACES, PaceName

TARGET: Final = "knowledge_sources.ocr_engine:serve"
# Measured: 1,280 MiB of address space suffice for receipts, 1,536 are thin for full pages.
LIMITS: Final = Limits(memory_bytes=2048 * MIB, resident_bytes=1536 * MIB, cpu_s=100.0, wall_s=110.0)
TIMEOUT_S: Final = 120.0


class OcrSettings(SourceSettings):
    """How many pages are read at a time, each by a process of about half a gigabyte, and with how many threads each.

    One thread a page reads the most pages per second; more threads only make a lone page come sooner.
    """

    processes: int = Field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)), ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=64)


def _needs_ocr(layer: Layer, **_: object) -> bool:
    return layer.needs_ocr


@knowledge_source(
    version="2",
    cost="free",
    timeout=TIMEOUT_S,
    when=_needs_ocr,
    bid=thorough_bid,
    carries={"page": "page"},
    concurrency=8,
)
async def ocr(
    layer: Each[Layer],
    document: All[Document],
    blobs: Blobs,
    sandboxes: Sandboxes,
    settings: OcrSettings,
    progress: Progress,
) -> Contribution[Reading]:
    """One page read by OCR. Its confidence is the expected share of characters that are right; the note says what could
    not be read.

    Raises DocumentUnreadable or DocumentTooComplex when the page cannot be drawn, or reading it goes over a limit.
    """
    return await _contribution("thorough", layer, document, blobs, sandboxes, settings, progress)


@knowledge_source(
    version="1",
    cost="free",
    timeout=TIMEOUT_S,
    default=False,
    when=_needs_ocr,
    bid=fast_bid,
    carries={"page": "page"},
    concurrency=8,
)
async def ocr_fast(
    layer: Each[Layer],
    document: All[Document],
    blobs: Blobs,
    sandboxes: Sandboxes,
    settings: OcrSettings,
    progress: Progress,
) -> Contribution[Reading]:
    """One page read by OCR with fewer pixels: sooner, with more wrong characters. Otherwise as `ocr`. Not there by default:
    as a second reader of every page it would only double the work."""
    return await _contribution("fast", layer, document, blobs, sandboxes, settings, progress)


async def _contribution(
    pace: PaceName,
    layer: Layer,
    document: Sequence[Document],
    blobs: Blobs,
    sandboxes: Sandboxes,
    settings: OcrSettings,
    progress: Progress,
) -> Contribution[Reading]:
    if not document:
        raise PermanentFailure("there is no document to read this page from")
    source = document[0]
    progress(0, 1, f"reading page {layer.page} of {source.pages}")
    data = await blobs.get(source.sha256)
    reading = await read(sandboxes, data, source.kind, layer.page, settings, pace)
    progress(1, 1)
    return Contribution(reading, confidence=reading.confidence)


async def read(
    sandboxes: Sandboxes, data: bytes, kind: str, page: int, settings: OcrSettings, pace: PaceName = "thorough"
) -> Reading:
    """Read one page (from 1) of a `pdf` or an `image`, in a sandbox. Raises as the source does."""
    sandbox = sandboxes.get(TARGET, LIMITS, processes=settings.processes)
    answer: dict[str, Any] = await sandbox.call(
        "read_page", data, kind=kind, page=page, threads=settings.threads, pace=pace
    )
    return as_reading(answer, page, pace)


def as_reading(answer: Mapping[str, Any], page: int, pace: PaceName = "thorough") -> Reading:
    """What the engine answered as what the board holds of it: the confidence of the whole is made the expected share of
    characters that are right, that of each line stays the recognizer's own score."""
    letters = sum(1 for c in answer["text"] if c.isalnum())
    confidence = PACES[pace].accuracy(answer["confidence"], letters)
    return Reading(page=page, engine=PACES[pace].engine, **{**answer, "confidence": confidence})
