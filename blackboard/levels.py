"""The levels of document analysis: what can stand on a board.

A level is a kind of hypothesis. Every class here is a frozen pydantic model; a plug-in adds a level by subclassing
`Level`. Units: `page` counts from 1; `start`/`end` are character offsets into the text they speak of, half open, so that
`text[start:end]` is the quoted string; boxes are fractions (0..1) of the upright page's width and height, origin top left;
confidence is 0..1.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from blackboard.entries import EntryRef

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions of the upright page."""

Confidence = Annotated[float, Field(ge=0.0, le=1.0)]
PageNumber = Annotated[int, Field(ge=1)]


class Level(BaseModel):
    """One hypothesis. A subclass names a level: `DateMention` is level `date_mention`.

    `named_by` lists the fields whose values make the entry's name; without it the framework numbers what one activation
    yields. An instance that was read from a board knows its entry (`value.entry`); one you made does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: ClassVar[str] = "level"
    named_by: ClassVar[tuple[str, ...]] = ()
    # A slot, because a private attribute costs every instance 4 microseconds; it is set on values read from a board alone.
    __slots__ = ("_read_from",)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "level" not in cls.__dict__:
            cls.level = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    def read_from(self, entry: EntryRef) -> Self:
        """The same value, knowing its entry. For whoever reads boards."""
        object.__setattr__(self, "_read_from", entry)
        return self

    @property
    def entry(self) -> EntryRef | None:
        """Key, version, owner and confidence of the entry this value was read from, or None."""
        return getattr(self, "_read_from", None)


class Address(Level):
    """Where the document lies, as it was submitted instead of the document; `filename`: what to call it."""

    url: str
    filename: str | None = None


class Upload(Level):
    """The document as it was submitted: bytes in the blob store, names and types as the sender claims them."""

    sha256: str
    size: int
    filename: str | None = None
    declared_type: str | None = None


class Child(Level):
    """A board of its own, opened for a part of this one's document. Kept up to date until that board has ended."""

    named_by = ("name",)
    name: str
    board: str
    """The child board's id."""
    sha256: str
    size: int
    filename: str | None = None
    status: Literal["open", "completed", "failed", "cancelled"] = "open"
    reason: str = ""
    """Why it ended as it did, in words."""
    title: str = ""
    """Its report's title, once it has completed with one."""
    boards: int = 1
    """It, and the boards below it; what follows is of all of them. `wall_s`: seconds, added up though they may overlap."""
    cost_usd: float = 0.0
    tokens: int = 0
    wall_s: float = 0.0


class Document(Level):
    """What the submitted bytes are, by their content, and how many pages there are to read."""

    sha256: str
    kind: str
    """pdf, image, txt, md, html, csv, docx, pptx, xlsx, odt, rtf, eml or zip."""
    media_type: str
    pages: int
    filename: str | None = None
    title: str | None = None
    notes: tuple[str, ...] = ()
    """What a reader should know: an owner password, members left out, pages over the limit."""


class Line(BaseModel):
    """One line of a page's text, with its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    end: int
    box: Box | None = None
    confidence: Confidence = 1.0


class Layer(Level):
    """The text layer a page came with, and whether it can be trusted."""

    named_by = ("page",)
    page: PageNumber
    text: str
    lines: tuple[Line, ...] = ()
    quality: Confidence = 1.0
    needs_ocr: bool = False
    reason: str = ""
    """Why OCR is needed, or why not, in words."""
    width: float | None = None
    height: float | None = None
    """Size of the upright page in points (pdf) or pixels (image)."""


class Reading(Level):
    """What an OCR engine read on one page."""

    named_by = ("page", "engine")
    page: PageNumber
    engine: str
    text: str
    lines: tuple[Line, ...] = ()
    confidence: Confidence = 0.0
    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the image was turned to be upright."""
    note: str = ""


class Page(Level):
    """The best text of one page; the layer and the readings it was chosen from stay beside it."""

    named_by = ("number",)
    number: PageNumber
    text: str
    lines: tuple[Line, ...] = ()
    origin: Literal["layer", "reading", "none"] = "layer"
    engine: str = ""
    confidence: Confidence = 1.0
    rotation: Literal[0, 90, 180, 270] = 0
    reason: str = ""


MentionType = Literal[
    "organisation", "person", "location", "address", "date", "amount", "email", "phone", "url", "identifier", "term"
]


class Mention(BaseModel):
    """One place in a page's text that names something. `page.text[start:end] == text`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: MentionType
    text: str
    start: int
    end: int
    value: str
    """Normalised: ISO date, `1234.50 EUR` (currency where known), E.164 phone, lower-case e-mail, ..."""
    role: str = ""
    """What it is here, where the layout or the words tell: company, total, invoice_number, party, effective_date, ..."""
    box: Box | None = None
    confidence: Confidence = 1.0


class Mentions(Level):
    """All mentions of one page, in reading order."""

    named_by = ("page",)
    page: PageNumber
    items: tuple[Mention, ...] = ()


class Where(BaseModel):
    """A verbatim place in the document: `page.text[start:end] == text` of the page it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: PageNumber
    start: int
    end: int
    text: str
    box: Box | None = None


class Entities(Level):
    """One thing the document speaks of, merged over its mentions on all pages."""

    named_by = ("type", "slug")
    type: MentionType
    slug: str
    value: str
    names: tuple[str, ...] = ()
    """Every spelling seen, most frequent first."""
    roles: tuple[str, ...] = ()
    mentions: tuple[Where, ...] = ()
    confidence: Confidence = 1.0


class Claim(Level):
    """A sentence that can be checked, found in the document."""

    named_by = ("page", "slug")
    page: PageNumber
    slug: str
    text: str
    where: Where
    kind: Literal["statement", "number", "date", "total"] = "statement"
    confidence: Confidence = 1.0


class Passages(Level):
    """The document's sentences, indexed once so that every check can look for evidence cheaply."""

    sentences: tuple[Where, ...] = ()


class Summary(Level):
    """One sentence of the summary, with the places it rests on. `rank` is its position, from 1."""

    named_by = ("rank",)
    rank: int
    text: str
    evidence: tuple[Where, ...] = ()
    confidence: Confidence = 1.0


class Verdict(Level):
    """What a check said of a claim, a summary sentence or a figure, with verbatim evidence."""

    named_by = ("about",)
    about: str
    """A short name of what was checked, unique on the board: `claim-<page>-<slug>`, `summary-<rank>`, `total-<page>-<n>`."""
    subject: str
    """The sentence or figure that was checked, as text."""
    label: Literal["supported", "refuted", "not_enough_information"]
    check: str
    """Which check decided: sum, tax, date_order, cross_page, number_absent, coverage, ..."""
    reason: str
    """One sentence a person understands."""
    where: Where | None = None
    evidence: tuple[Where, ...] = ()
    confidence: Confidence = 1.0


class ReportEntity(BaseModel):
    """An entity as the report lists it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: MentionType
    value: str
    roles: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    count: int = 1
    confidence: Confidence = 1.0


class ReportChild(BaseModel):
    """A part of the document that was analysed on a board of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    board: str
    status: str
    line: str
    """What came of it, in one line."""


class Report(Level):
    """The analysis of one document, for people and programs."""

    title: str
    kind: str
    pages: int
    pages_read: int
    words: int
    fields: dict[str, str] = {}
    """Document-level facts by role: company, date, total, invoice_number, parties, effective_date, ..."""
    entities: tuple[ReportEntity, ...] = ()
    summary: tuple[Summary, ...] = ()
    claims: int = 0
    verdicts: dict[str, int] = {}
    findings: tuple[Verdict, ...] = ()
    """Refuted verdicts first: what a reader must look at."""
    notes: tuple[str, ...] = ()
    children: tuple[ReportChild, ...] = ()
