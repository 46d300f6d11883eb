"""Documents as the project itself reads them, once per run: measures of what comes after OCR rest on its output."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import fields
from pathlib import Path

import orjson

import knowledge_sources
from blackboard.errors import SourceError
from blackboard.levels import Layer, Page, Reading
from knowledge_sources import ocr_engine
from knowledge_sources.formats import reading
from knowledge_sources.ocr import as_reading
from knowledge_sources.pages import choose

SOURCES = ("ocr*.py", "reading_order.py", "rotation.py", "pages.py", "formats/*.py")


class Readings:
    """Reads documents in this process and remembers them; with `cache`, a folder, from run to run.

    An entry of the cache is named by the document's bytes and by the code that reads them, so a change of either makes
    a new one. Times are processor seconds, which other work on the machine does not lengthen.
    """

    def __init__(self, cache: Path | None = None, *, threads: int = 1) -> None:
        self._cache = cache
        self._threads = threads
        self._pages: dict[Path, tuple[Page, ...]] = {}
        self._seconds: dict[Path, float] = {}
        self._engine: ocr_engine.OcrEngine | None = None
        self._code = _digest_of_code()

    def of(self, path: Path) -> Page:
        """The document's first page."""
        return self.pages(path)[0]

    def pages(self, path: Path) -> tuple[Page, ...]:
        """All pages, the best text of each. Raises what reading raises (errors of `blackboard.errors`)."""
        if path not in self._pages:
            kept = self._kept(path)
            if kept is None or not self._load(path, kept):
                self._read(path)
                if kept is not None:
                    self._save(path, kept)
        return self._pages[path]

    def seconds(self, path: Path) -> float:
        """Processor seconds that a page of this document took, decoding included, loading the models not."""
        self.pages(path)
        return self._seconds[path]

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        engine = self.engine
        start = time.process_time()
        pages = _read_document(data, path.name, engine)
        self._pages[path] = pages
        self._seconds[path] = (time.process_time() - start) / max(1, len(pages))

    @property
    def engine(self) -> ocr_engine.OcrEngine:
        """The OCR engine, its models loaded when first asked for."""
        if self._engine is None:
            self._engine = ocr_engine.OcrEngine(self._threads)
        return self._engine

    def _kept(self, path: Path) -> Path | None:
        if self._cache is None:
            return None
        digest = hashlib.sha256(path.read_bytes() + self._code).hexdigest()
        return self._cache / f"{digest}.json"

    def _load(self, path: Path, kept: Path) -> bool:
        if not kept.is_file():
            return False
        stored = orjson.loads(kept.read_bytes())
        self._pages[path] = tuple(Page.model_validate(page) for page in stored["pages"])
        self._seconds[path] = stored["seconds"]
        return True

    def _save(self, path: Path, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        pages = [page.model_dump(mode="json") for page in self._pages[path]]
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(orjson.dumps({"pages": pages, "seconds": self._seconds[path]}))
        part.replace(kept)


def _read_document(data: bytes, name: str, engine: ocr_engine.OcrEngine) -> tuple[Page, ...]:
    kind = reading.inspect(data, name)["kind"]
    layers = [Layer.model_validate(layer) for layer in reading.layers(data, name)]
    return tuple(choose(layer, _read_page(data, kind, layer, engine)) for layer in layers)


def _read_page(data: bytes, kind: str, layer: Layer, engine: ocr_engine.OcrEngine) -> list[Reading]:
    """OCR where the layer asks for it; a page that cannot be drawn has no reading, as on a board."""
    if not layer.needs_ocr:
        return []
    try:
        result = engine.read(ocr_engine.page_image(data, kind, layer.page))
        return [as_reading({field.name: getattr(result, field.name) for field in fields(result)}, layer.page)]
    except SourceError:
        return []


def _digest_of_code() -> bytes:
    folder = Path(knowledge_sources.__file__).parent
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for file in sorted(folder.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.digest()
