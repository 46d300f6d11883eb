"""The source `pages`: the best of a page's text layer and its OCR readings becomes the page that all others read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from blackboard import Group, knowledge_source
from blackboard.levels import Layer, Page, Reading

WORTHLESS = 0.2
"""A text of less quality than this is noise: it would mislead every reader after it."""
WHOLE = 0.75
"""A reading with less than this share of the letters of the fullest one has missed a part of the page, however sure it
is of the rest."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A text that could be the page. `amount` is its number of letters and digits; `quality` is 0..1."""

    source: Layer | Reading
    amount: int
    quality: float

    @property
    def worth(self) -> float:
        return self.amount * self.quality

    @property
    def name(self) -> str:
        return "the text layer" if isinstance(self.source, Layer) else f"the reading by {self.source.engine}"


def choose(layer: Layer | None, readings: Sequence[Reading]) -> Page:
    """The page as it is best known.

    A text layer that needs no OCR is taken as it is. Of several readings the surest stands for all, among those that
    saw about as much as the fullest; between it and the layer the one with the most letters is taken, weighed by how
    far each can be trusted. A page on which nothing was readable has origin `none` and an
    empty text; the reason says why. Raises ValueError without any candidate, or when they are of different pages.
    """
    sources: list[Layer | Reading] = [*([layer] if layer else []), *readings]
    numbers = {source.page for source in sources}
    if len(numbers) != 1:
        raise ValueError(f"the candidates for one page are of pages {sorted(numbers)}")
    if layer is not None and not layer.needs_ocr:
        return _from_layer(layer, layer.reason or "the text layer can be trusted")
    candidates = [_candidate(source) for source in sources]
    usable = [c for c in candidates if c.amount > 0 and c.quality >= WORTHLESS]
    if not usable:
        return _nothing(numbers.pop(), layer, readings)
    best = max(_surest(usable), key=lambda c: (c.worth, c.quality))
    reason = _reason(best, candidates, layer, readings)
    return _from_layer(best.source, reason) if isinstance(best.source, Layer) else _from_reading(best.source, reason)


@knowledge_source(version="2", cost="free", timeout=30, required=True, carries={"number": "page"})
def pages(candidates: Group[Layer | Reading, Literal["page"]]) -> Page:
    """The best text of one page, and why it is the best."""
    layers = [candidate for candidate in candidates if isinstance(candidate, Layer)]
    readings = [candidate for candidate in candidates if isinstance(candidate, Reading)]
    # A person may have put a rival beside the layer: the surest of them stands for all.
    layer = max(layers, key=lambda candidate: candidate.quality) if layers else None
    return choose(layer, readings)


def _surest(usable: Sequence[_Candidate]) -> list[_Candidate]:
    """The candidates with one reading at most. Which of two engines saw a few letters more tells nothing: noise is
    letters too."""
    readings = [c for c in usable if isinstance(c.source, Reading)]
    enough = WHOLE * max((c.amount for c in readings), default=0)
    surest = max((c for c in readings if c.amount >= enough), key=lambda c: (c.quality, c.amount), default=None)
    return [c for c in usable if c is surest or isinstance(c.source, Layer)]


def _candidate(source: Layer | Reading) -> _Candidate:
    amount = sum(1 for c in source.text if c.isalnum())
    return _Candidate(source, amount, source.quality if isinstance(source, Layer) else source.confidence)


def _reason(
    best: _Candidate, candidates: Sequence[_Candidate], layer: Layer | None, readings: Sequence[Reading]
) -> str:
    said = [layer.reason.rstrip(".")] if layer is not None and layer.reason else []
    others = [c for c in candidates if c is not best and c.amount > 0]
    if best.source is layer and not readings:
        said.append("no OCR reading came, so the text layer stands")
    elif others:
        numbers = ", ".join(f"{c.name} has {c.amount}, trusted {c.quality:.2f}" for c in others)
        said.append(f"{best.name} has {best.amount} letters, trusted {best.quality:.2f}; {numbers}")
    else:
        said.append(f"{best.name} is all there is")
    if isinstance(best.source, Reading) and best.source.note:
        said.append(best.source.note)
    return "; ".join(said)


def _from_layer(layer: Layer, reason: str) -> Page:
    if not layer.text.strip():
        return Page(number=layer.page, text="", origin="none", confidence=layer.quality, reason=reason)
    return Page(
        number=layer.page,
        text=layer.text,
        lines=layer.lines,
        origin="layer",
        confidence=layer.quality,
        reason=reason,
    )


def _from_reading(reading: Reading, reason: str) -> Page:
    return Page(
        number=reading.page,
        text=reading.text,
        lines=reading.lines,
        origin="reading",
        engine=reading.engine,
        confidence=reading.confidence,
        rotation=reading.rotation,
        reason=reason,
    )


def _nothing(number: int, layer: Layer | None, readings: Sequence[Reading]) -> Page:
    notes = [reading.note or f"{reading.engine} found no text" for reading in readings]
    if not readings:
        notes.append("it was not read by OCR")
    if layer is not None:
        notes.insert(0, layer.reason.rstrip(".") or "its text layer cannot be trusted")
    rotation = readings[0].rotation if readings else 0
    reason = "nothing on this page was readable: " + "; ".join(notes)
    return Page(number=number, text="", origin="none", confidence=0.0, rotation=rotation, reason=reason)
