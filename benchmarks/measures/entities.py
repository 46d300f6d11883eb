"""How well facts are found: fields of receipts end to end, of contracts and of invoices, and names in sentences.

Micro-F1 over fields: a field counts when its normalised value equals the truth's; one that is missing costs recall, one
that is wrong costs precision and recall. Receipts are read by our own OCR. The references are figures of rule-based and
of fine-tuned readers of the same tasks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measures.corpus import Item, items
from benchmarks.measures.reading import Readings
from benchmarks.measures.row import Row
from blackboard.levels import Layer, Page
from knowledge_sources.formats.pdf_text import layers
from knowledge_sources.mentions.dates import find_dates
from knowledge_sources.mentions.fields import field_values
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.found import settle
from knowledge_sources.mentions.merge import organisation_key
from knowledge_sources.mentions.names import find_names
from knowledge_sources.pages import choose

Fields = Mapping[str, frozenset[str]]

TYPES = {
    "PER": "person",
    "PERSON": "person",
    "ORG": "organisation",
    "ORGANISATION": "organisation",
    "GROUP": "organisation",
    "CORPORATION": "organisation",
    "LOC": "location",
    "LOCATION": "location",
}


@dataclass
class Score:
    """Counts of right, wrong and missed answers."""

    right: int = 0
    given: int = 0
    wanted: int = 0

    def add(self, given: Iterable[object], wanted: Iterable[object]) -> None:
        some, all_ = set(given), set(wanted)
        self.right += len(some & all_)
        self.given += len(some)
        self.wanted += len(all_)

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.given + self.wanted) if self.given + self.wanted else 0.0


def measure(corpus: Path, readings: Readings) -> list[Row]:
    """Rows for the receipts, contracts, invoices and sentences of a corpus; kinds that are missing give n = 0."""
    return [*_receipts(corpus, readings), _contracts(corpus), *_invoices(corpus), _names(corpus)]


def _receipts(corpus: Path, readings: Readings) -> list[Row]:
    receipts = items(corpus, "receipt-image", lambda truth: bool(truth.get("entities")))
    total, single = Score(), {field: Score() for field in ("company", "date", "address", "total")}
    for receipt in receipts:
        found = _found([readings.of(receipt.path)])
        given = {field: _receipt_value(field, found.get(field, ())) for field in single}
        wanted = {field: _receipt_value(field, (receipt.truth["entities"].get(field, ""),)) for field in single}
        for field, score in single.items():
            score.add(given[field], wanted[field])
        total.add(_pairs(given), _pairs(wanted))
    n = len(receipts)
    reference = "layout rules .871; fine-tuned LayoutLMv2 .97"
    rows = [Row("receipt fields, micro-F1, end to end", "receipt_fields_f1", total.f1, n, reference, at_least=0.86)]
    return rows + [Row(f"receipt {field}, F1", None, score.f1, n, "") for field, score in single.items()]


def _receipt_value(field: str, values: Sequence[str]) -> frozenset[str]:
    shown = values[0] if values else ""
    if field == "date":
        dates = find_dates(shown)
        return frozenset(find.value for find in dates[:1])
    if field == "total":
        digits = re.search(r"\d+(?:\.\d+)?", shown.replace(",", ""))
        return frozenset([f"{float(digits.group()):.2f}"] if digits else [])
    squeezed = re.sub(r"[\W_]+", "", shown.upper())
    return frozenset([squeezed] if squeezed else [])


def _contracts(corpus: Path) -> Row:
    contracts = items(corpus, "contract-pdf", lambda truth: bool(truth.get("entities")))
    total = Score()
    for contract in contracts:
        found = _found(_pdf_pages(contract))
        wanted = contract.truth["entities"]
        given = {
            "party": frozenset(_party(name) for name in found.get("parties", ())),
            **{field: frozenset(found.get(field, ())) for field in ("effective_date", "jurisdiction", "term")},
        }
        truth = {field: frozenset(value.replace("_", " ") for value in wanted.get(field, ())) for field in given}
        truth["party"] = frozenset(_party(name) for name in wanted.get("party", ()))
        total.add(_pairs(given), _pairs(truth))
    reference = "rules .68; fine-tuned models .80"
    return Row("contract fields, micro-F1", "contract_fields_f1", total.f1, len(contracts), reference, at_least=0.66)


def _party(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", organisation_key(re.sub(r",?\s+M\.?D\.?$", "", name)))


def _invoices(corpus: Path) -> list[Row]:
    invoices = items(corpus, "invoice-pdf", lambda truth: bool(truth.get("fields")))
    total, more = Score(), Score()
    for invoice in invoices:
        wanted = invoice.truth["fields"][0] if isinstance(invoice.truth["fields"], list) else invoice.truth["fields"]
        found = _found(_pdf_pages(invoice))
        total.add(*_compared(found, wanted, _INVOICE))
        more.add(*_compared(found, wanted, _INVOICE_MORE))
    reference = "rules .84"
    return [
        Row("invoice fields, micro-F1", "invoice_fields_f1", total.f1, len(invoices), reference, at_least=0.80),
        Row("invoice issuer, net amount, due date, micro-F1", None, more.f1, len(invoices), ""),
    ]


_INVOICE = {"date": "date", "total": "amount", "currency": "currency", "invoice_number": "invoice_number"}
_INVOICE_MORE = {"issuer": "issuer", "amount_untaxed": "amount_untaxed", "due_date": "date_due"}


def _compared(
    found: Mapping[str, Sequence[str]], wanted: Mapping[str, Any], names: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What was found and what is true, for the fields whose truth is known: the others cannot be judged."""
    given, truth = [], []
    for ours, theirs in names.items():
        if wanted.get(theirs) in (None, ""):
            continue
        truth.append((ours, _invoice_value(ours, str(wanted[theirs]))))
        given += [(ours, _invoice_value(ours, value)) for value in found.get(ours, ())[:1]]
    return given, truth


def _invoice_value(field: str, shown: str) -> str:
    if field in ("total", "amount_untaxed"):
        return f"{float(shown.split(' ')[0]):.2f}"
    return _party(shown) if field == "issuer" else shown.strip()


def _names(corpus: Path) -> Row:
    file = corpus / "ner.jsonl"
    total = Score()
    sentences = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    for number, sentence in enumerate(sentences):
        text, wanted = _gold(sentence["tokens"], sentence["tags"])
        given = [(find.type, find.start, find.end) for find in settle(find_names(text))]
        total.add([(number, *span) for span in given], [(number, *span) for span in wanted])
    reference = "gazetteer and rules .44; large models .86"
    return Row(
        "names in sentences, exact spans, micro-F1", "ner_f1", total.f1, len(sentences), reference, at_least=0.44
    )


def _gold(tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, list[tuple[str, int, int]]]:
    starts: list[int] = []
    at = 0
    for token in tokens:
        starts.append(at)
        at += len(token) + 1
    spans: list[tuple[str, int, int]] = []
    for number, tag in enumerate(tags):
        kind = TYPES.get(tag[2:].upper(), tag[2:])
        end = starts[number] + len(tokens[number])
        if tag.startswith("I-") and number and tags[number - 1][2:] == tag[2:] and spans:
            spans[-1] = kind, spans[-1][1], end
        elif tag != "O":
            spans.append((kind, starts[number], end))
    return " ".join(tokens), [span for span in spans if span[0] in TYPES.values()]


def _found(pages: Sequence[Page]) -> dict[str, tuple[str, ...]]:
    return field_values(pages, [find_mentions(page) for page in pages])


def _pairs(fields: Fields) -> Iterator[tuple[str, str]]:
    return ((field, value) for field, values in fields.items() for value in values)


def _pdf_pages(item: Item) -> list[Page]:
    """The text layers of a born-digital PDF."""
    return [choose(Layer.model_validate(layer), ()) for layer in layers(item.path.read_bytes())]
