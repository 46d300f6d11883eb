"""The set that is measured: twenty documents with one error each, and twenty without."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from benchmarks.documents import contracts, invoices
from benchmarks.documents.sheets import Sheet, scanned_pdf, text_pdf

SCANNED_EVERY = 4
"""Every so many documents one is a scan and goes through OCR."""


@dataclass(frozen=True, slots=True)
class Case:
    """One document: its bytes, and the error that was put into it, None for a clean one."""

    name: str
    data: bytes
    scanned: bool
    error: str | None
    category: str | None


def cases(seed: int = 1, *, scans: bool = True) -> Iterator[Case]:
    """Twenty documents with a total, date or party that is wrong, each beside the same kind of document without."""
    rng = random.Random(seed)
    kinds: list[tuple[str, str]] = [("invoice", e) for e in get_args(invoices.Error)]
    kinds += [("contract", e) for e in get_args(contracts.Error)]
    kinds += [("invoice", e) for e in ("total", "total", "line")]
    for index, (kind, error) in enumerate(kinds):
        for wanted in (error, None):
            pages, category = _sheets(kind, wanted, rng, index if wanted else index + 7)
            scanned = scans and index % SCANNED_EVERY == SCANNED_EVERY - 1
            data = scanned_pdf(pages, rng) if scanned else text_pdf(pages)
            name = f"{index:02d}-{kind}-{wanted or 'clean'}{'-scan' if scanned else ''}"
            yield Case(name, data, scanned, wanted, category)


def _sheets(kind: str, error: str | None, rng: random.Random, index: int) -> tuple[list[Sheet], str | None]:
    if kind == "invoice":
        invoice = invoices.make_invoice(rng, index)
        if error is None:
            return invoices.sheets(invoice), None
        wrong = invoices.break_invoice(invoice, error, rng)  # type: ignore[arg-type]
        return invoices.sheets(wrong), invoices.CATEGORY[error]
    contract = contracts.make_contract(rng, index)
    if error is None:
        return contracts.sheets(contract), None
    return contracts.sheets(contracts.break_contract(contract, error)), contracts.CATEGORY[error]  # type: ignore[arg-type]
