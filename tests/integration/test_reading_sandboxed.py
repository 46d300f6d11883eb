"""The sources `intake` and `layers`, with their sandbox, on good and on hostile documents."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator

import pytest

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, PermanentFailure
from blackboard.levels import Document, Layer, Upload
from blackboard.sandbox.pool import Sandboxes
from knowledge_sources.intake import intake, reader
from knowledge_sources.text import layers
from tests.pdf_maker import Sheet, make_pdf, text_at


class Shelf:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.blobs[name] = data
        return name

    async def get(self, sha256: str) -> bytes:
        return self.blobs[sha256]


class Reading:
    """What a worker does: hands in blobs, sandboxes and a progress that is written down."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.sandboxes = Sandboxes()
        self.steps: list[tuple[float, float]] = []

    async def document(self, data: bytes, filename: str | None = None) -> Document:
        upload = Upload(sha256=self.shelf.put(data), size=len(data), filename=filename)
        found = await intake.function(upload, self.shelf, self.sandboxes)
        assert isinstance(found, Document)
        return found

    async def layers(self, document: Document) -> list[Layer]:
        def progress(done: float, total: float, note: str = "") -> None:
            self.steps.append((done, total))

        return [layer async for layer in layers.function(document, self.shelf, self.sandboxes, progress)]


@pytest.fixture
async def reading() -> AsyncIterator[Reading]:
    found = Reading()
    yield found
    await found.sandboxes.close()


async def test_a_document_is_named_and_read_page_by_page(reading: Reading) -> None:
    data = make_pdf(*(Sheet(text_at(60, 700, f"This is page number {n} of three")) for n in (1, 2, 3)), title="Three")
    document = await reading.document(data, "three.pdf")
    assert (document.kind, document.pages, document.title, document.filename) == ("pdf", 3, "Three", "three.pdf")
    found = await reading.layers(document)
    assert [layer.page for layer in found] == [1, 2, 3]
    assert found[1].text == "This is page number 2 of three"
    assert reading.steps == [(1, 3), (2, 3), (3, 3)]


async def test_a_refusal_names_the_reason_and_the_next_document_is_read(reading: Reading) -> None:
    with pytest.raises(DocumentUnreadable, match="empty"):
        await reading.document(b"")
    with pytest.raises(DocumentTooComplex, match=r"25\.0 MB"):
        await reading.document(b"x" * 25_000_001)
    assert (await reading.document(b"Plain words.\n")).kind == "txt"


def bomb(levels: int) -> bytes:
    """A PDF whose page is a stream packed `levels` times."""
    data = b"q " * 60_000_000
    for _ in range(levels):
        data = zlib.compress(data, 9)
    filters = "/FlateDecode " * levels
    return (
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
        b"2 0 obj\n<< /Type /Pages /Count 1 /Kids [3 0 R] >>\nendobj\n"
        b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R >>\nendobj\n"
        + f"4 0 obj\n<< /Length {len(data)} /Filter [{filters}] >>\nstream\n".encode()
        + data
        + b"\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF"
    )


@pytest.mark.long
async def test_a_bomb_ends_within_the_limits_and_harms_nobody(reading: Reading) -> None:
    try:
        document = await reading.document(bomb(2))
        assert all(isinstance(layer, Layer) for layer in await reading.layers(document))
    except PermanentFailure as error:
        assert str(error)
    assert (await reading.document(b"Plain words.\n")).pages == 1


async def test_deeply_nested_documents_end_in_a_typed_outcome(reading: Reading) -> None:
    for data in (b"<html><body>" + b"<div>" * 15_000 + b"x", b"{\\rtf1 " + b"{" * 100_000 + b"x"):
        try:
            assert (await reading.document(data)).pages >= 1
        except PermanentFailure as error:
            assert str(error)


async def test_processes_are_shared_by_all_documents(reading: Reading) -> None:
    for number in range(5):
        await reading.document(f"Document number {number}.\n".encode())
    assert len(reader(reading.sandboxes)._idle) == 1
