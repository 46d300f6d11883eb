"""The report and its text: everything in its place, refuted statements first, never an empty success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import DocumentUnreadable
from blackboard.levels import Claim, Document, Entities, Page, Report, Summary, Verdict, Where
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.merge import merge
from knowledge_sources.render import WIDTH, render_text
from knowledge_sources.report import MAX_FINDINGS, make_report

TEXT = "INVOICE\nAcme Widgets Ltd\nInvoice no: 2024-17\nInvoice date: 3 May 2024\nTotal   EUR 120.00\n"
HERE = Where(page=1, start=0, end=7, text="INVOICE")


def document(pages: int = 1, **more: object) -> Document:
    return Document.model_validate(
        {"sha256": "0" * 64, "kind": "pdf", "media_type": "application/pdf", "pages": pages, **more}
    )


def verdict(about: str, label: str, confidence: float = 0.9) -> Verdict:
    return Verdict.model_validate(
        {"about": about, "subject": "s", "label": label, "check": "sum", "reason": f"Reason of {about}.", "where": HERE,
         "evidence": (HERE,), "confidence": confidence}
    )  # fmt: skip


def report(text: str = TEXT, verdicts: tuple[Verdict, ...] = (), **more: object) -> Report:
    pages = [Page(number=1, text=text)]
    mentions = [find_mentions(page) for page in pages]
    claim = Claim(page=1, slug="a", text="c", where=HERE)
    summary = [Summary(rank=2, text="Second.", evidence=(HERE,)), Summary(rank=1, text="First.", evidence=(HERE,))]
    return make_report([document(**more)], pages, merge(mentions), mentions, [claim], summary, verdicts)


def test_the_report_gathers_everything() -> None:
    made = report(verdicts=(verdict("claim-1-a", "supported"), verdict("total-1-1", "refuted")))
    assert made.kind == "pdf"
    assert (made.pages, made.pages_read, made.claims) == (1, 1, 1)
    assert made.verdicts == {"refuted": 1, "supported": 1}
    assert [s.rank for s in made.summary] == [1, 2]
    assert made.fields["date"] == "2024-05-03"
    assert "Acme Widgets Ltd" in {entity.value for entity in made.entities}
    assert "INVOICE" in made.title


def test_findings_are_refuted_ones_first_then_unsure_summaries_and_limited() -> None:
    many = tuple(verdict(f"total-1-{i}", "refuted", 0.5 + i / 1000) for i in range(MAX_FINDINGS + 5))
    made = report(verdicts=(verdict("summary-1", "not_enough_information"), *many))
    assert len(made.findings) == MAX_FINDINGS
    assert made.findings[0].about == f"total-1-{MAX_FINDINGS + 4}"
    assert any(str(MAX_FINDINGS + 5) in note for note in made.notes)
    few = report(
        verdicts=(
            verdict("summary-1", "not_enough_information"),
            verdict("claim-1-a", "not_enough_information"),
            many[0],
        )
    )
    assert [finding.about for finding in few.findings] == ["total-1-0", "summary-1"]


@pytest.mark.parametrize("pages", [[], [Page(number=1, text="", origin="none", reason="it is a black page")]])
def test_a_document_without_text_is_an_error_not_an_empty_report(pages: list[Page]) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        make_report([document()], pages, [], [], [], [], [])
    assert not pages or "black page" in str(caught.value)


def test_pages_that_could_not_be_read_are_noted() -> None:
    pages = [Page(number=1, text=TEXT), Page(number=2, text=" ", origin="none")]
    made = make_report([document(pages=3, notes=("It had a password.",))], pages, [], [], [], [], [])
    assert (made.pages, made.pages_read) == (3, 1)
    assert made.notes[0] == "It had a password."
    assert any("1 of 2 pages: 2" in note for note in made.notes)
    assert any("1 of 3 pages were not read" in note for note in made.notes)


def test_an_uncertain_reading_is_noted() -> None:
    page = Page(number=1, text=TEXT, origin="reading", confidence=0.5)
    notes = make_report([document()], [page], [], [], [], [], []).notes
    assert any("uncertain on page 1" in note for note in notes)


def test_the_documents_own_title_wins() -> None:
    assert report(title="Framework contract").title == "Framework contract"
    assert report(text="12 34\nthe quick brown fox\n").title == "the quick brown fox"


def test_the_text_shows_parties_dates_amounts_and_findings_with_their_pages() -> None:
    shown = render_text(report(verdicts=(verdict("total-1-1", "refuted"),)))
    for part in (
        "Parties",
        "Acme Widgets Ltd",
        "Dates",
        "2024-05-03",
        "Amounts",
        "120.00",
        "Summary",
        "First.",
        "REFUTED",
        "page 1",
    ):
        assert part in shown
    assert "Reason of total-1-1." in shown


def test_the_text_says_that_nothing_is_wrong() -> None:
    assert "Nothing was found to be wrong." in render_text(report())


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_terminal_is_not_steered_by_a_document(title: str, reason: str) -> None:
    entity = Entities(type="person", slug="x", value=title or "x")
    pages = [Page(number=1, text="text")]
    made = make_report([document()], pages, [entity], [], [], [], [])
    finding = verdict("total-1-1", "refuted").model_copy(update={"reason": reason})
    shown = render_text(made.model_copy(update={"title": title, "findings": (finding,)}))
    assert shown.endswith("\n")
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert "\x9b" not in shown
    assert "\u202e" not in shown


def test_lines_are_not_wider_than_the_terminal() -> None:
    wide = verdict("total-1-1", "refuted").model_copy(update={"reason": "word " * 100})
    assert all(len(line) <= WIDTH for line in render_text(report(verdicts=(wide,))).splitlines())


def entity(type: str, value: str, *roles: str, confidence: float = 0.9) -> Entities:
    return Entities.model_validate(
        {
            "type": type,
            "slug": value.lower(),
            "value": value,
            "roles": roles,
            "mentions": (HERE,),
            "confidence": confidence,
        }
    )


def shown(*entities: Entities) -> str:
    pages = [Page(number=1, text="text")]
    return render_text(make_report([document()], pages, entities, [], [], [], []))


def test_every_entity_of_a_group_is_shown_those_with_a_role_first() -> None:
    text = shown(
        entity("person", "Ann"), entity("organisation", "Bar", "buyer"), entity("organisation", "Foo", "issuer")
    )
    lines = [line.strip() for line in text.splitlines()]
    assert set(lines) >= {"Parties", "Ann [p. 1]", "Bar (buyer) [p. 1]", "Foo (issuer) [p. 1]"}
    assert lines.index("Ann [p. 1]") > max(lines.index("Bar (buyer) [p. 1]"), lines.index("Foo (issuer) [p. 1]"))


def test_names_without_a_role_are_no_parties() -> None:
    text = shown(entity("person", "Ann"))
    assert "People and organisations" in text
    assert "Parties" not in text


def test_unsure_names_are_listed_only_with_a_role() -> None:
    text = shown(entity("person", "Ann", confidence=0.5), entity("person", "Ben", "party", confidence=0.5))
    assert "Ann" not in text
    assert "Ben (party)" in text


def test_sums_numbers_and_terms_are_shown_as_people_write_them() -> None:
    text = shown(
        entity("amount", "7321.20 GBP", "total"),
        entity("amount", "-1234567.50"),
        entity("identifier", "vat:GB294183706"),
        entity("identifier", "invoice_number:20240318", "invoice_number"),
        entity("term", "30 days"),
    )
    for part in (
        "7,321.20 GBP (total)",
        "-1,234,567.50 ",
        "GB294183706 (VAT number)",
        "20240318 (invoice number)",
        "Terms\n  30 days",
    ):
        assert part in text
    assert "Dates" not in text


def test_what_is_refuted_stands_before_everything_else() -> None:
    wrong = render_text(report(verdicts=(verdict("total-1-1", "refuted"),)))
    assert wrong.index("REFUTED") < wrong.index("Facts")
    fine = render_text(report(verdicts=(verdict("total-1-1", "supported"),)))
    assert fine.index("Facts") < fine.index("Findings")
