from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.mentions.dates import find_dates


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on August 3 , 2014 we", "2014-08-03"),
        ("this 6th day of January, 2012", "2012-01-06"),
        ("as of the 3rd of July 2007", "2007-07-03"),
        ("the 22ND day of May 2001.", "2001-05-22"),
        ("executed on this 2\nnd day of February, 2009", "2009-02-02"),
        ("7. Mai 2014", "2014-05-07"),
        ("Factuurdatum: 19 april 2014", "2014-04-19"),
        ("du 1er Juillet 2015", "2015-07-01"),
        ("12 de marzo de 2019", "2019-03-12"),
        ("3 września 2020", "2020-09-03"),
        ("02-Jan-2018", "2018-01-02"),
        ("2018年3月19日", "2018-03-19"),
        ("2016/05/01 14:11:20", "2016-05-01"),
        ("created 2021-03-04T10:00:00Z", "2021-03-04"),
        ("25/12/2018", "2018-12-25"),
        ("12/25/2018", "2018-12-25"),
        ("27/05/20188:07 PM", "2018-05-27"),
        ("31.12.99", "1999-12-31"),
        ("Date: 20180319", "2018-03-19"),
        ("in May 2014 the", "2014-05"),
        ("period 2024-05", "2024-05"),
    ],
)
def test_dates_are_read(text: str, value: str) -> None:
    found = find_dates(text)
    assert [find.value for find in found] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "31/02/2018",
        "13/13/2018",
        "192.168.1.10",
        "version 1.2.10",
        "03-7805 7889",
        "12345678",
        "20180319",
        "1/2",
        "5 apples 2014",
    ],
)
def test_what_looks_like_a_date_is_none(text: str) -> None:
    assert find_dates(text) == []


def test_a_date_that_can_be_read_one_way_settles_the_others() -> None:
    assert [find.value for find in find_dates("03/04/2018 and 25/04/2018")] == ["2018-04-03", "2018-04-25"]
    assert [find.value for find in find_dates("03/04/2018 and 04/25/2018")] == ["2018-03-04", "2018-04-25"]


def test_the_country_settles_an_ambiguous_date_and_habit_lowers_confidence() -> None:
    american = find_dates("Fort Myers, FL 33913. Date: 10/11/04")[0]
    elsewhere = find_dates("Total RM 5.00 on 10/11/04")[0]
    unknown = find_dates("10/11/04")[0]
    assert (american.value, elsewhere.value, unknown.value) == ("2004-10-11", "2004-11-10", "2004-11-10")
    assert unknown.confidence < american.confidence == elsewhere.confidence < find_dates("30/11/04")[0].confidence


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2099, 12, 31)))
def test_every_date_is_read_back(day: date) -> None:
    for shown in (day.isoformat(), f"{day:%d %B %Y}", f"{day:%B} {day.day}, {day.year}", f"{day:%Y/%m/%d}"):
        assert [find.value for find in find_dates(f"x {shown} y")] == [day.isoformat()]
