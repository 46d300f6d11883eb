"""A person corrects one page of forty: exactly what read it runs again, and everything that rested on it follows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live import Live, live
from tests.integration.test_attachments import built_in
from tests.pdf_maker import Sheet, lines_at, make_pdf

PAGES = 40
PAGE = 17
PER_PAGE = {"mentions", "claims"}
"""Sources that work on one page."""


def lines(number: int) -> list[str]:
    """What stands on a page."""
    return [
        f"The depot in district {number} was opened on {number % 27 + 1} March 2019.",
        f"It has {number * 12} employees.",
    ]


REPORT = make_pdf(*(Sheet(lines_at(72, 760, lines(number))) for number in range(1, PAGES + 1)))


def read_by(activation: dict[str, Any]) -> set[tuple[str, int]]:
    """What an activation had read."""
    return {(given["key"], given["version"]) for given in activation["inputs"]}


async def activations(service: Live, board: str) -> list[dict[str, Any]]:
    """The agenda in order of appearance."""
    found: list[dict[str, Any]] = (await service.get(f"boards/{board}/activations"))["items"]
    return found


async def entries(service: Live, board: str, level: str) -> dict[str, dict[str, Any]]:
    """Live entries of a level by key."""
    return {entry["key"]: entry for entry in (await service.get(f"boards/{board}/entries", level=level))["items"]}


async def correct(service: Live, board: str, key: str, etag: str, **changes: Any) -> Any:
    """Put what stands there with some fields changed."""
    path = f"/v1/boards/{board}/entries/{key}"
    value = (await service.client.get(path)).json()["value"]
    return await service.client.put(path, json={**value, **changes}, headers={"If-Match": etag})


def check_cone(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """What ran again had read something that changed since; whoever read nothing of it did not run."""
    first = {(run["source"], run["binding"]): read_by(run) for run in before}
    again = {(run["source"], run["binding"]) for run in after}
    assert len(again) == len(after), "nothing ran twice"
    for run in after:
        place = run["source"], run["binding"]
        assert place not in first or first[place] != read_by(run), f"{place} ran again on what it had read already"
    for place, read in first.items():
        if place not in again:
            assert all(not key.startswith(f"page/{PAGE:04d}") for key, _ in read), f"{place} did not run again"


@pytest.mark.timeout(90)
async def test_correcting_one_page_runs_only_what_read_it(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, built_in(), slots=4, check_s=5) as service:
        board = await service.submit(REPORT, "report.pdf", hold="review")
        await service.until_held(board, 60)
        before = await activations(service, board)
        assert sum(run["source"] == "mentions" for run in before) == PAGES
        page = f"page/{PAGE:04d}"
        old = await entries(service, board, "mentions")
        answer = await service.client.get(f"/v1/boards/{board}/entries/{page}")
        etag = answer.headers["ETag"]
        assert (await correct(service, board, page, '"7"', text="No.")).status_code == 412

        text = "The depot in district 17 was closed on 9 May 2021.\nIt has no employees."
        assert (await correct(service, board, page, etag, text=text, lines=[])).status_code == 200
        await service.until_held(board, 60)
        after = (await activations(service, board))[len(before) :]
        check_cone(before, after)
        ran = Counter(run["source"] for run in after)
        assert {source: ran[source] for source in PER_PAGE} == dict.fromkeys(PER_PAGE, 1)
        assert not ran.keys() & {"intake", "layers", "ocr", "pages"}, "nothing above the page ran"
        whole = {"passages", "summary", "entities", "figures", "report"}
        assert {source: ran[source] for source in whole} == dict.fromkeys(whole, 1)
        assert {run["binding"] for run in after if run["source"] in PER_PAGE} == {page}
        # The claims of other pages are checked again, because the evidence may lie on the page that changed.
        assert ran.keys() - PER_PAGE - whole <= {"facts", "summary_facts"}
        new = await entries(service, board, "mentions")
        assert [key for key in old if old[key]["version"] != new[key]["version"]] == [f"mentions/{PAGE:04d}"]

        stands = (await entries(service, board, "page"))[page]
        assert (stands["owner"], stands["pinned"], stands["version"]) == ("person:anonymous", True, 2)
        dates = {entry["value"]["value"] for entry in (await entries(service, board, "entities")).values()}
        assert "2021-05-09" in dates
        assert "2019-03-18" not in dates, "what is no longer produced is retracted"
        approved = await service.client.post(f"/v1/boards/{board}/approve")
        assert approved.status_code == 202
        ended = await service.until(board)
        assert (ended["status"], ended["outcome"]["disputes"]) == ("completed", 0)
        report = (await service.get(f"boards/{board}/report"))["report"]
        assert any(entity["value"] == "2021-05-09" and entity["pages"] == [PAGE] for entity in report["entities"])


async def test_what_a_source_says_otherwise_stands_beside(redis_url: str, tmp_path: Path) -> None:
    """The layer under a corrected page changes: the source writes the page anew, beside what the person wrote."""
    small = make_pdf(*(Sheet(lines_at(72, 760, lines(number))) for number in range(1, 4)))
    async with live(redis_url, tmp_path, built_in(), slots=4) as service:
        board = await service.submit(small, "report.pdf", hold="review")
        await service.until_held(board)
        assert (await correct(service, board, "page/0002", '"1"', text="Mine.", lines=[])).status_code == 200
        await service.until_held(board)
        before = await activations(service, board)
        theirs = "Theirs, as it was scanned again."
        assert (await correct(service, board, "layer/0002", '"1"', text=theirs, lines=[])).status_code == 200
        await service.until_held(board)
        after = (await activations(service, board))[len(before) :]
        assert [(run["source"], run["binding"]) for run in after] == [("pages", "2")], "a rival is read by nobody"
        pages = await entries(service, board, "page")
        assert (pages["page/0002"]["value"]["text"], pages["page/0002"]["owner"]) == ("Mine.", "person:anonymous")
        rival = pages["page/0002~pages"]
        assert (rival["rival_of"], rival["owner"], rival["value"]["text"]) == ("page/0002", "pages", theirs)
        await service.client.post(f"/v1/boards/{board}/approve")
        ended = await service.until(board)
        assert (ended["status"], ended["outcome"]["disputes"]) == ("completed", 1)
        assert "with 1 dispute" in ended["outcome"]["reason"]
