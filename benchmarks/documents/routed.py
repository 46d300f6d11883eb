"""Documents whose text, facts and error are known, in three states: with a text layer, scanned, and scanned badly."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from PIL import Image, ImageFilter

from benchmarks.documents import contracts, invoices
from benchmarks.documents.sheets import EPOCH, Sheet, scan, text_pdf

State = Literal["text", "scan", "poor"]
STATES: tuple[State, ...] = get_args(State)
DPI = {"scan": 150, "poor": 96}
BLUR = 1.1
"""Of a poor scan, in pixels; with its grain, letters of 10 points are just legible to people."""
GRAIN = 0.22


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a document says: as it is printed on its first page, and as an entity has it."""

    type: Literal["organisation", "identifier", "amount", "date"]
    printed: str
    value: str
    role: str


@dataclass(frozen=True, slots=True)
class Paper:
    """One document. `texts`: of its pages, line by line. `category`: of the error put into it; None for a clean one."""

    name: str
    state: State
    data: bytes
    texts: tuple[str, ...]
    facts: tuple[Fact, ...]
    category: str | None
    pictures: tuple[Image.Image, ...] = ()


def papers(count: int, seed: int = 1, states: Sequence[State] = STATES) -> Iterator[Paper]:
    """So many: invoices and contracts in turn, every other one with an error, through all states."""
    rng = random.Random(seed)
    for index in range(count):
        is_invoice, wrong = index // len(states) % 2 == 0, index % 2 == 0
        sheets, facts, category = _invoice(rng, index, wrong) if is_invoice else _contract(rng, index, wrong)
        state = states[index % len(states)]
        pictures = () if state == "text" else tuple(_picture(sheet, rng, state) for sheet in sheets)
        name = f"{index:02d}-{'invoice' if is_invoice else 'contract'}-{category or 'clean'}-{state}"
        data = _pdf(pictures, DPI[state]) if pictures else text_pdf(sheets)
        yield Paper(name, state, data, tuple(map(text_of, sheets)), facts, category, pictures)


def text_of(sheet: Sheet) -> str:
    """Its lines from top to bottom, the pieces of each from left to right."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for piece in sheet.placed:
        rows.setdefault(piece.y, []).append((piece.x, piece.text))
    return "\n".join("  ".join(text for _, text in sorted(row)) for _, row in sorted(rows.items()))


def _invoice(rng: random.Random, index: int, wrong: bool) -> tuple[list[Sheet], tuple[Fact, ...], str | None]:
    made, category = invoices.make_invoice(rng, index), None
    if wrong:
        error: invoices.Error = get_args(invoices.Error)[index % len(get_args(invoices.Error))]
        made, category = invoices.break_invoice(made, error, rng), invoices.CATEGORY[error]
    facts = [
        Fact("identifier", made.number, made.number, "invoice_number"),
        Fact("organisation", made.seller, made.seller, "issuer"),
        Fact("organisation", made.buyer, made.buyer, "buyer"),
        Fact("amount", made.style.number(made.total), f"{made.total:.2f}", "total"),
    ]
    if not made.issued_text:
        facts.append(Fact("date", made.style.day(made.issued), made.issued.isoformat(), "date"))
    return invoices.sheets(made), tuple(facts), category


def _contract(rng: random.Random, index: int, wrong: bool) -> tuple[list[Sheet], tuple[Fact, ...], str | None]:
    made, category = contracts.make_contract(rng, index), None
    if wrong:
        error: contracts.Error = get_args(contracts.Error)[index % len(get_args(contracts.Error))]
        made, category = contracts.break_contract(made, error), contracts.CATEGORY[error]
    facts = (
        Fact("organisation", made.first, made.first, "party"),
        Fact("organisation", made.second, made.second, "party"),
        Fact("date", _day(made.effective), made.effective.isoformat(), "effective_date"),
    )
    return contracts.sheets(made), facts, category


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _picture(sheet: Sheet, rng: random.Random, state: State) -> Image.Image:
    page = scan(sheet, rng, dpi=DPI[state])
    if state == "poor":
        page = page.filter(ImageFilter.GaussianBlur(BLUR))
        grain = Image.frombytes("L", page.size, rng.randbytes(page.width * page.height))
        page = Image.blend(page, grain, GRAIN)
    return page


def _pdf(pages: Sequence[Image.Image], dpi: int) -> bytes:
    out = io.BytesIO()
    pages[0].save(
        out, "PDF", save_all=True, append_images=pages[1:], resolution=dpi, quality=70,
        creationDate=EPOCH, modDate=EPOCH,
    )  # fmt: skip
    return out.getvalue()
