"""The report: what the whole analysis comes to, for people and programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from blackboard import (
    All,
    Child,
    Claim,
    Document,
    DocumentUnreadable,
    Entities,
    Mentions,
    Page,
    Report,
    Summary,
    Verdict,
    knowledge_source,
)
from blackboard.levels import MentionType, ReportChild, ReportEntity
from knowledge_sources.mentions.fields import fields
from knowledge_sources.mentions.layout import rows_of
from knowledge_sources.summary import count_words

MAX_ENTITIES = 100
MIN_CONFIDENCE = 0.6
"""Less sure entities are listed only with a role; all of them stay on the board."""
MAX_FINDINGS = 50
MAX_TITLE = 120

_WEIGHT: Mapping[MentionType, float] = {
    "organisation": 2.0, "person": 1.8, "amount": 1.2, "date": 1.2, "identifier": 1.2, "location": 1.0, "address": 1.0,
    "term": 1.0, "email": 0.8, "phone": 0.8, "url": 0.6,
}  # fmt: skip
_TITLE_WORDS = re.compile(
    r"\b(?:invoice|receipt|agreement|contract|report|act|letter|statement|order|quotation|offer|policy|minutes"
    r"|memo(?:randum)?|"
    r"certificate|notice|rechnung|vertrag|facture|contrat|factura|contrato)\b",
    re.IGNORECASE,
)


def make_report(
    documents: Sequence[Document],
    pages: Sequence[Page],
    entities: Sequence[Entities],
    mentions: Sequence[Mentions],
    claims: Sequence[Claim],
    summary: Sequence[Summary],
    verdicts: Sequence[Verdict],
    children: Sequence[Child] = (),
) -> Report:
    """Put everything together. Raises DocumentUnreadable when no page has any text: there is nothing to report on."""
    document = documents[0] if documents else None
    read = [page for page in pages if page.text.strip()]
    if not read:
        raise DocumentUnreadable(_unreadable(pages), hint=_unreadable_hint(pages))
    facts = fields(pages, mentions)
    return Report(
        title=_title(document, read, facts),
        kind=document.kind if document else "",
        pages=max(document.pages if document else 0, len(pages)),
        pages_read=len(read),
        words=sum(count_words(page.text) for page in read),
        fields=facts,
        entities=_entities(entities),
        summary=tuple(sorted(summary, key=lambda s: s.rank)),
        claims=len(claims),
        verdicts=dict(sorted(Counter(v.label for v in verdicts).items())),
        findings=_findings(verdicts),
        notes=_notes(document, pages, read, verdicts),
        children=tuple(_child(child) for child in children),
    )


def _child(child: Child) -> ReportChild:
    line = child.title if child.status == "completed" else child.reason
    return ReportChild(name=child.filename or child.name, board=child.board, status=child.status, line=_short(line))


def _unreadable(pages: Sequence[Page]) -> str:
    if not pages:
        return "The document has no pages."
    reason = next((page.reason for page in pages if page.reason), "")
    count = "its only page" if len(pages) == 1 else f"any of its {len(pages)} pages"
    return f"No text was found on {count}{f': {reason}' if reason else '.'}"


def _unreadable_hint(pages: Sequence[Page]) -> str:
    return "Scan it again with more light or at 300 dpi, or send a version with text." if pages else ""


def _title(document: Document | None, read: Sequence[Page], facts: Mapping[str, str]) -> str:
    """The document's own title; else the line of its first page that names its kind, else its first line of words."""
    if document and document.title and document.title.strip():
        return _short(document.title)
    lines = [row.text for row in rows_of(read[0])[:20] if sum(c.isalpha() for c in row.text) >= 4]
    named = next((line for line in lines if _TITLE_WORDS.search(line) and len(line) <= 80), None)
    if named and len(named.split()) == 1:
        number = facts.get("invoice_number") or facts.get("receipt_number") or ""
        house = facts.get("issuer") or facts.get("company") or ""
        return _short(", ".join(filter(None, (f"{named} {number}".strip(), house))))
    return _short(named or next(iter(lines), None) or (document.filename if document else None) or "Untitled")


def _short(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rsplit(" ", 1)[0] + "…"


def _entities(entities: Sequence[Entities]) -> tuple[ReportEntity, ...]:
    """The things a reader would ask for first: those with a role, then those named most often."""

    def worth(entity: Entities) -> tuple[float, str, str]:
        count = len(entity.mentions)
        score = (3.0 if entity.roles else 0.0) + _WEIGHT[entity.type] * (1 + count) ** 0.5 * entity.confidence
        return -score, entity.type, entity.value

    sure = [entity for entity in entities if entity.roles or entity.confidence >= MIN_CONFIDENCE]
    return tuple(
        ReportEntity(
            type=entity.type,
            value=entity.value,
            roles=entity.roles,
            pages=tuple(sorted({place.page for place in entity.mentions})),
            count=max(1, len(entity.mentions)),
            confidence=entity.confidence,
        )
        for entity in sorted(sure, key=worth)[:MAX_ENTITIES]
    )


def _findings(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """What a reader must look at: everything refuted, the surest first, then summary sentences that nothing bears out."""
    refuted = sorted((v for v in verdicts if v.label == "refuted"), key=lambda v: (-v.confidence, v.about))
    unsure = sorted(
        (v for v in verdicts if v.label == "not_enough_information" and v.about.startswith("summary-")),
        key=lambda v: v.about,
    )
    return tuple([*refuted, *unsure][:MAX_FINDINGS])


def _notes(
    document: Document | None, pages: Sequence[Page], read: Sequence[Page], verdicts: Sequence[Verdict]
) -> tuple[str, ...]:
    notes = list(document.notes) if document else []
    empty = [page.number for page in pages if not page.text.strip()]
    if empty:
        shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        notes.append(f"No text was found on {len(empty)} of {len(pages)} pages: {shown}.")
    missing = document.pages - len(pages) if document else 0
    if missing > 0:
        notes.append(f"{missing} of {document.pages if document else 0} pages were not read.")
    scanned = [page for page in read if page.origin == "reading"]
    if scanned:
        poor = [page.number for page in scanned if page.confidence < 0.8]
        some = f"{len(scanned)} of {len(read)} pages were" if len(read) > len(scanned) else "Every page was"
        notes.append(f"{'The page was' if len(read) == 1 else some} read by OCR.")
        if poor:
            notes.append(f"The reading is uncertain on page {', '.join(map(str, poor[:10]))}: check what rests on it.")
    refuted = sum(v.label == "refuted" for v in verdicts)
    if refuted > MAX_FINDINGS:
        notes.append(f"Only {MAX_FINDINGS} of {refuted} refuted statements are listed.")
    return tuple(notes)


@knowledge_source(version="2", cost="free", timeout=60, required=True)
def report(
    documents: All[Document],
    pages: All[Page],
    entities: All[Entities],
    mentions: All[Mentions],
    claims: All[Claim],
    summary: All[Summary],
    verdicts: All[Verdict],
    children: All[Child],
) -> Report:
    """Put the whole analysis together."""
    return make_report(documents, pages, entities, mentions, claims, summary, verdicts, children)
