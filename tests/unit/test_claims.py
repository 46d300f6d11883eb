"""Sentences, passages and claims: verbatim places, in order, with stable names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blackboard.levels import Page
from knowledge_sources.claims import MAX_PER_PAGE, find_claims, slug_of
from knowledge_sources.passages import Index, gather
from knowledge_sources.sentences import sentences

PIECES = st.sampled_from(
    ["The fee is 400 EUR.", "Mr. Smith", "e.g.", "\n", "\n\n", "   ", "- ", "(a) ",
     "1. ", "Total   12.50", "?", "!", "。", " ", "\t", "A", "is",
     "paid", "3.5", "“Quoted.”", "\r\n", "\x0c", "...", "|", "Ärger", "合同"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join))


def said(text: str) -> list[str]:
    return [text[a:b] for a, b in sentences(text)]


@given(TEXTS)
def test_sentences_are_trimmed_places_in_order_that_keep_every_character(text: str) -> None:
    spans = sentences(text)
    at = 0
    for start, end in spans:
        assert text[at:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        at = end
    assert text[at:].strip() == ""


@given(TEXTS)
def test_passages_and_claims_quote_the_page(text: str) -> None:
    page = Page(number=3, text=text)
    places = [*gather([page]).sentences, *(claim.where for claim in find_claims(page))]
    assert all(text[place.start : place.end] == place.text and place.page == 3 for place in places)


def test_abbreviations_and_numbers_do_not_end_a_sentence() -> None:
    text = "Dr. Jane Roe of Acme Inc. paid No. 5 on 3.5. by 10 a.m. yesterday. J. Doe agreed, see Fig. 2. It ended."
    assert said(text)[-2:] == ["J. Doe agreed, see Fig. 2.", "It ended."]
    assert len(said(text)) == 3


def test_a_full_stop_without_a_space_behind_it_ends_a_sentence_on_scanned_pages() -> None:
    assert said("The goods were sent.Payment is due in May.") == ["The goods were sent.", "Payment is due in May."]


def test_wrapped_lines_are_one_sentence_and_table_rows_are_not() -> None:
    text = (
        "The supplier shall deliver the goods that are listed in the annex to\n"
        "the address of the buyer before the end of the month.\n"
        "Widget   3   12.50\nGadget   1   99.00\n"
    )
    assert said(text)[0].endswith("end of the month.")
    assert said(text)[1:] == ["Widget   3   12.50", "Gadget   1   99.00"]


def test_list_items_and_headings_stand_alone() -> None:
    text = "TERMS OF PAYMENT\nThe buyer shall:\n(a) pay the price; and\n(b) take the goods.\n"
    assert said(text) == ["TERMS OF PAYMENT", "The buyer shall:", "(a) pay the price; and", "(b) take the goods."]


def test_claims_leave_out_what_cannot_be_checked() -> None:
    text = (
        "Annual report\n\nHow much did it cost? Thank you for your business.\n\n"
        "The company sold 1,200 machines in 2023. All rights reserved by the company.\n\n"
        "Item   Qty   Price\nBolt   12   3.40\n"
    )
    assert [claim.text for claim in find_claims(Page(number=1, text=text))] == [
        "The company sold 1,200 machines in 2023."
    ]


def test_a_claim_knows_its_kind() -> None:
    text = (
        "The total amount is EUR 500.00 for the work. The shop sold 12 of them to us. "
        "The lease was signed on 3 May 2024 by both. The director signed the lease for the tenant."
    )
    assert [claim.kind for claim in find_claims(Page(number=1, text=text))] == ["total", "number", "date", "statement"]


def test_an_unchanged_sentence_keeps_its_name_wherever_it_moves() -> None:
    sentence = "The company sold 1,200 machines in 2023."
    first = find_claims(Page(number=1, text=sentence))
    moved = find_claims(
        Page(number=1, text=f"The factory was built in 1950.\n\n{sentence.replace(' sold', chr(10) + 'sold')}")
    )
    assert first[0].slug == slug_of(sentence)
    assert first[0].slug in {claim.slug for claim in moved}
    assert slug_of(sentence) != slug_of(sentence.replace("1,200", "1,300"))


def test_too_many_claims_keep_those_with_most_to_check_in_reading_order() -> None:
    dull = " ".join(
        f"The person number{chr(97 + i % 26)}{chr(97 + i // 26)} was rather happy about it." for i in range(60)
    )
    rich = "Acme Ltd paid EUR 1,200.00 to Bolt GmbH on 3 May 2024."
    claims = find_claims(Page(number=1, text=f"{dull} {rich}"))
    assert len(claims) == MAX_PER_PAGE
    assert claims[-1].text == rich
    assert [claim.where.start for claim in claims] == sorted(claim.where.start for claim in claims)


def test_the_index_finds_the_passage_that_shares_the_rare_words() -> None:
    texts = ["The fee is paid monthly.", "The tenant keeps a dog.", "The fee of the surveyor is paid once."]
    index = Index(texts)
    assert index.search("surveyor's fee")[0][0] == 2
    assert index.search("zebra") == []
    assert index.idf("dog") > index.idf("fee")
