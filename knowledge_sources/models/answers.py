"""What models are asked to answer: small, strict, with the words of JSON Schema alone that constrained output knows.

Such output knows no limits on numbers and lengths, so these are kept when an answer is read: `some` of a list, and places
and words checked one by one. Every field is required; "" stands for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from knowledge_sources.models.words import Dropped

T = TypeVar("T")

Role = Literal[
    "", "company", "issuer", "buyer", "party", "total", "amount_untaxed", "tax", "line_amount", "date", "due_date",
    "effective_date", "term", "jurisdiction", "invoice_number", "receipt_number", "po_number", "order_number",
    "customer_number", "account_number", "tax_number", "registration_number", "document_number",
]  # fmt: skip


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Quote(Answer):
    """Words of the document, and the page they are on."""

    page: int
    text: str


class Named(Answer):
    """Something a page names: its words, and the words around them where the same stand elsewhere on the page, too."""

    type: Literal[
        "organisation", "person", "location", "address", "date", "amount", "email", "phone", "url", "identifier", "term"
    ]
    text: str
    role: Role
    context: str


class NamedThings(Answer):
    """All that a page names."""

    items: list[Named]


class TranscribedLine(Answer):
    """One line of a page; not `sure` where letters had to be guessed."""

    text: str
    sure: bool


class Transcript(Answer):
    """A page as it reads. `unread`: what could not be read, in words."""

    lines: list[TranscribedLine]
    unread: str


class Judgement(Answer):
    """What the document says of one claim, named by its number."""

    claim: int
    label: Literal["supported", "refuted", "not_enough_information"]
    reason: str
    evidence: list[Quote]


class Judgements(Answer):
    """One for each claim."""

    items: list[Judgement]


class Disagreement(Answer):
    """Two places that cannot both be true."""

    first: Quote
    second: Quote
    reason: str


class Disagreements(Answer):
    """All of them, the gravest first."""

    items: list[Disagreement]


class Point(Answer):
    """Something a part of a long document says, and where."""

    text: str
    quote: Quote


class Points(Answer):
    """What a part of a long document says, the weightiest first."""

    items: list[Point]


class Revision(Answer):
    """A sentence put right; "" where nothing true is left of it."""

    text: str
    evidence: list[Quote]


def some(items: Sequence[T], most: int, dropped: Dropped) -> Sequence[T]:
    """The first `most` of them; the rest is counted."""
    dropped("over the limit", len(items) - most)
    return items[:most]
