from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from blackboard.entries import NAME
from blackboard.levels import Mention, Mentions, MentionType
from knowledge_sources.entities import entities, mentions
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.merge import merge, organisation_key, person_key
from tests.unit.mention_pages import CONTRACT, page


def named(kind: MentionType, *names: str, at: int = 1, role: str = "", confidence: float = 0.5) -> Mentions:
    items, start = [], 0
    for name in names:
        items.append(
            Mention(
                type=kind, text=name, start=start, end=start + len(name), value=name, role=role, confidence=confidence
            )
        )
        start += len(name) + 1
    return Mentions(page=at, items=tuple(items))


def test_companies_are_one_without_their_legal_form() -> None:
    found = merge(
        [named("organisation", "Acme Steel, Inc."), named("organisation", "ACME STEEL INC", "Acme Steel", at=2)]
    )
    assert len(found) == 1
    assert found[0].slug == "acme-steel"
    assert [(where.page, where.start) for where in found[0].mentions] == [(1, 0), (2, 0), (2, 15)]
    assert set(found[0].names) == {"Acme Steel, Inc.", "ACME STEEL INC", "Acme Steel"}
    assert found[0].confidence > 0.5


def test_short_names_join_the_one_person_they_fit() -> None:
    found = merge([named("person", "Dr. Jane A. Doe", "J. Doe", "Doe", "Tom Fox")])
    assert [entity.value for entity in found] == ["Dr. Jane A. Doe", "Tom Fox"]
    assert len(found[0].mentions) == 3


def test_short_names_that_fit_two_people_stay_alone() -> None:
    found = merge([named("person", "Jane Doe", "John Doe", "J. Doe", "Doe")])
    assert [entity.value for entity in found] == ["Jane Doe", "John Doe", "J. Doe", "Doe"]


def test_roles_are_kept_surest_first() -> None:
    pages = [
        named("organisation", "Foo Ltd", role="party", confidence=0.6),
        named("organisation", "Foo Ltd", at=2, role="issuer", confidence=0.9),
    ]
    assert merge(pages)[0].roles == ("issuer", "party")


def test_different_types_stay_apart() -> None:
    found = merge([named("person", "Paris"), named("location", "Paris", at=2)])
    assert [(entity.type, entity.value) for entity in found] == [("location", "Paris"), ("person", "Paris")]


def test_keys() -> None:
    assert organisation_key("Foo & Sons, Inc.") == organisation_key("FOO AND SONS INCORPORATED") == "foo and sons"
    assert organisation_key("J.F. Lehman & Company") == organisation_key("JF Lehman and Company")
    assert organisation_key("GmbH") == "gmbh"
    assert person_key("Dr. Jane A. Doe, M.D.") == person_key("jane a doe") == "jane a doe"


@given(
    st.lists(
        st.tuples(st.sampled_from(["person", "organisation", "date", "url"]), st.text(min_size=1, max_size=90)),
        max_size=12,
    )
)
def test_entries_have_distinct_valid_names_and_lose_no_mention(given_: list[tuple[MentionType, str]]) -> None:
    pages = [named(kind, text, at=number) for number, (kind, text) in enumerate(given_, 1)]
    found = merge(pages)
    names = [f"{entity.type}.{entity.slug}" for entity in found]
    assert len(names) == len(set(names))
    assert all(NAME.match(name) and re.fullmatch(r"[a-z0-9-]+", name.partition(".")[2]) for name in names)
    assert sum(len(entity.mentions) for entity in found) == len(given_)


def test_the_sources_find_and_join() -> None:
    one = page(CONTRACT)
    assert (mentions.version, entities.version) == ("2", "1")
    joined = merge([find_mentions(one), find_mentions(page(CONTRACT, 2))])
    heron = [entity for entity in joined if entity.type == "organisation" and "party" in entity.roles]
    assert [entity.slug for entity in heron] == ["blue-heron-robotics"]
    assert {where.page for where in heron[0].mentions} == {1, 2}
