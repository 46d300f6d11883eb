from __future__ import annotations

import pytest

from knowledge_sources.mentions.names import find_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("They met in New Zealand and Wales .", {("location", "New Zealand"), ("location", "Wales")}),
        (
            "The University of Chicago hired Nina Chahine .",
            {("organisation", "University of Chicago"), ("person", "Nina Chahine")},
        ),
        ("We asked Mr. Okonkwo about it.", {("person", "Okonkwo")}),
        ("Blue Heron Robotics, Inc. was sold.", {("organisation", "Blue Heron Robotics, Inc.")}),
        ("French historian Pierre de Marca wrote it.", {("person", "Pierre de Marca")}),
        ("He moved to Boston from Lake Geneva.", {("location", "Boston"), ("location", "Lake Geneva")}),
        ("The ship of the US Navy left.", {("organisation", "US Navy")}),
        ("Payments by Borrower and Lender are due.", {("person", "Borrower"), ("person", "Lender")}),
    ],
)
def test_names_are_told_apart(text: str, names: set[tuple[str, str]]) -> None:
    assert {(find.type, text[find.start : find.end]) for find in find_names(text)} == names


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for all the help !",
        "The borrower and the lender agree.",
        "On Monday, March 3, we went home.",
        "Most Americans like Italian food.",
        "Can you help me interpret this statement?",
        "",
    ],
)
def test_ordinary_sentences_name_nobody(text: str) -> None:
    assert find_names(text) == []


def test_rows_of_a_form_give_only_sure_names() -> None:
    text = "Apple Wood Table\nDark Rose Chair\nFOO TRADING LTD"
    assert {text[find.start : find.end] for find in find_names(text, prose=False)} == {"FOO TRADING LTD"}


def test_names_wrap_in_running_text_though_the_page_is_a_form() -> None:
    text = (
        "FOO TRADING LTD\nWe have completed the survey of the quay wall that the Port of Tarrant\n"
        "Authority Limited ordered from us."
    )
    found = {" ".join(text[find.start : find.end].split()) for find in find_names(text, prose=False)}
    assert found == {"FOO TRADING LTD", "Port of Tarrant Authority Limited"}


def test_two_companies_in_two_columns_are_two() -> None:
    text = "signed by Heron Energy Services, Inc. Perot Systems Corp. today"
    found = [text[find.start : find.end] for find in find_names(text)]
    assert found == ["Heron Energy Services, Inc.", "Perot Systems Corp."]


def test_sides_of_a_contract_are_no_organisations() -> None:
    text = "The information of the Disclosing Party is kept by the Receiving Party and by no Third Party."
    assert find_names(text) == []


def test_a_signature_block_is_no_prose() -> None:
    text = "Jane Miller\nCorporate Development Director\nWe met Tom Baker Chairman & Managing Director."
    assert {text[find.start : find.end] for find in find_names(text)} == {"Jane Miller", "Tom Baker"}


def test_words_in_capitals_are_no_acronyms() -> None:
    text = "THE PARTIES AGREE TO BE BOUND BY IT, and NATO and the FBI agree; see EVP and VII."
    assert {text[find.start : find.end] for find in find_names(text)} == {"NATO", "FBI"}


def test_scripts_without_capitals_give_no_names() -> None:
    assert find_names("U코드 A형간염 東京 القاهرة") == []
