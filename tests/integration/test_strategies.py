"""Strategies and budgets through the front door: who acted, what was bid, what was left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from blackboard import All, Bid, Blobs, Contribution, Each, Level, Spending, Upload, knowledge_source
from tests.whole import Whole, whole


class Sheet(Level):
    """One page."""

    named_by = ("number",)
    number: int
    text: str


class Transcript(Level):
    """What an engine made of a page."""

    number: int
    text: str


class Digest(Level):
    """What all transcripts come to."""

    text: str


@knowledge_source(required=True)
async def sheets(upload: Each[Upload], blobs: Blobs) -> AsyncIterator[Sheet]:
    """One for each line."""
    for number, line in enumerate((await blobs.get(upload.sha256)).decode().split("\n"), 1):
        yield Sheet(number=number, text=line)


@knowledge_source(bid=lambda sheet: Bid(0.7, latency_s=0.1))
async def quick(sheet: Each[Sheet]) -> Contribution[Transcript]:
    """Not sure of what is smudged."""
    smudged = "smudged" in sheet.text
    if "torn" in sheet.text:
        raise RuntimeError("the page is torn")
    return Contribution(Transcript(number=sheet.number, text=sheet.text), 0.4 if smudged else 0.9)


@knowledge_source(bid=lambda sheet: Bid(0.95, cost_usd=0.2, latency_s=20), cost="paid")
async def careful(sheet: Each[Sheet], spending: Spending) -> Contribution[Transcript]:
    """Sure of everything, for money."""
    spending(usd=0.25, tokens=100)
    return Contribution(Transcript(number=sheet.number, text=sheet.text.upper()), 0.97)


@knowledge_source()
async def digest(transcript: All[Transcript]) -> Digest:
    """The whole."""
    return Digest(text="|".join(item.text for item in transcript))


SOURCES = (sheets, quick, careful, digest)
TEXT = "plain\nsmudged\ntorn\nplain too"


async def counts(service: Whole, board: str) -> Counter[str]:
    return Counter(run["source"] for run in await service.activations(board))


async def test_all_of_them_by_default(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        board = await service.submit("plain\nsmudged")
        assert (await service.ended(board))["status"] == "completed"
        assert await counts(service, board) == {"sheets": 1, "quick": 2, "careful": 2, "digest": 1}


async def test_a_market_asks_the_next_where_the_first_does_not_do(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        board = await service.submit(TEXT, strategy={"transcript": "market"}, floor={"transcript": 0.6})
        ended = await service.ended(board)
        assert ended["status"] == "completed"
        assert ended["policy"] == {"strategy": {"transcript": "market"}, "floor": {"transcript": 0.6}}
        runs = await service.activations(board)
        pages = sorted((run["source"], run["binding"]) for run in runs if run["source"] in ("quick", "careful"))
        assert [page for page in pages if page[0] == "careful"] == [
            ("careful", "sheet/0002"),
            ("careful", "sheet/0003"),
        ]
        assert len(pages) == 6
        award = next(run["award"] for run in runs if run["binding"] == "sheet/0002" and run["source"] == "careful")
        assert (award["bid"], award["losing"][0]["source"]) == ([0.95, 0.2, 20], "quick")
        assert next(run["quality"] for run in runs if run["binding"] == "sheet/0001") == 0.9
        # Awards and the bids that lost are in the log, word for word.
        log = (await service.client.get(f"/v1/boards/{board}/log")).text
        assert log.count("award") >= 6
        assert ended["outcome"]["cost_usd"] == pytest.approx(0.5)
        assert ended["outcome"]["tokens"] == 200
        why = (await service.get(f"/v1/boards/{board}/why"))["reasons"]
        lost = next(each for each in why if each["source"] == "careful" and each["binding"] == "sheet/0001")
        assert (lost["state"], lost["reason"]) == ("outbid", "quick did it well enough")


async def test_a_declared_order(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        board = await service.submit("plain\nsmudged", strategy={"transcript": ["careful", "quick"]})
        await service.ended(board)
        assert await counts(service, board) == {"sheets": 1, "careful": 2, "digest": 1}


async def test_a_budget_ends_in_the_best_partial_report(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        options = {"sources": ["sheets", "careful", "digest"], "budget": {"usd": 0.5}}
        board = await service.submit("one\ntwo\nthree\nfour", **options)
        ended = await service.ended(board)
        assert (ended["status"], ended["outcome"]["slug"], ended["outcome"]["partial"]) == ("completed", "budget", True)
        assert await counts(service, board) == {"sheets": 1, "careful": 2, "digest": 1}
        left_out = ended["outcome"]["left_out"]
        assert [step["source"] for step in left_out] == ["careful", "careful"]
        assert left_out[0]["reason"] == "it would cost 0.2 USD, more than is left of the budget of 0.5 USD"
        assert ended["outcome"]["cost_usd"] == pytest.approx(0.5)


async def test_when_money_runs_out_the_cheaper_rival_takes_over(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        options = {"strategy": {"transcript": ["careful"]}, "budget": {"usd": 0.5}}
        board = await service.submit("one\ntwo\nthree\nfour", **options)
        ended = await service.ended(board)
        assert (ended["status"], ended["outcome"]["slug"]) == ("completed", "complete")
        assert await counts(service, board) == {"sheets": 1, "careful": 2, "quick": 2, "digest": 1}


async def test_the_form_takes_the_same_options(redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        form = {"strategy": orjson.dumps({"transcript": ["quick"]}).decode(), "budget": '{"wall_s": 20}'}
        answer = await service.client.post("/v1/documents", data=form, files={"file": ("a.txt", b"plain")})
        assert answer.status_code == 202, answer.text
        assert answer.json()["deadline_ms"] == 20000
        assert (await service.ended(answer.json()["id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"strategy": {"transcript": "auction"}}, "/strategy/transcript"),
        ({"strategy": {"transcript": []}}, "/strategy/transcript"),
        ({"strategy": {"nothing": "market"}}, "/strategy/nothing"),
        ({"strategy": {"transcript": ["digest"]}}, "/strategy"),
        ({"sources": ["quick"]}, "/sources"),
        ({"floor": {"transcript": 0.5}}, "/floor"),
        ({"strategy": {"transcript": "market"}, "floor": {"transcript": 2}}, "/floor/transcript"),
        ({"budget": {"usd": -1}}, "/budget/usd"),
        ({"budget": {"euro": 1}}, "/budget/euro"),
        ({"budget": {"wall_s": 0}}, "/budget/wall_s"),
        ({"price": {"usd": "much"}}, "/price/usd"),
    ],
)
async def test_what_cannot_be_followed_is_refused(
    redis_url: str, tmp_path: Path, options: dict[str, object], pointer: str
) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        answer = await service.client.post("/v1/documents", json={"text": "x", **options})
        assert answer.status_code == 422, answer.text
        assert any(error["pointer"].startswith(pointer) for error in answer.json()["errors"]), answer.text
