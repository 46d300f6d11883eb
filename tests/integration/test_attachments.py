"""Mails with attachments and zip archives, through HTTP, with the sources that are built in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from blackboard import Source
from blackboard.levels import Report
from blackboard.registry import find_sources
from controller.bootstrap import render
from knowledge_sources.attachments import attachments
from tests.integration.live import Live, live
from tests.pdf_maker import Sheet, lines_at, make_pdf

OFFER = make_pdf(Sheet(lines_at(72, 760, ["Offer 4711", "Marlow Harbour Engineering Ltd", "Total: 1,200.00 EUR"])))
NOTES = b"Meeting notes\n\nThe delivery takes three days. The price is 1,200.00 EUR.\n"
TABLE = b"item,price\nWidget,10.00\nGadget,15.50\n"


def built_in() -> tuple[Source, ...]:
    """The installed sources; `attachments` also where an older version's entry points are installed."""
    found = {source.name: source for source in (attachments, *find_sources()[0])}
    return tuple(found.values())


@pytest.fixture
async def service(redis_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    async with live(redis_url, tmp_path, built_in()) as running:
        yield running


def mail(*attached: tuple[str, bytes, str]) -> bytes:
    """A message with a text and these attachments: name, content, media type."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "ann@example.org", "bob@example.org", "Our offer"
    made["Date"], made["Message-ID"] = "Mon, 01 Jan 2024 10:00:00 +0000", "<1@example.org>"
    made.set_content("Dear Bob,\n\nplease find our offer attached. It is valid for thirty days.\n")
    for name, content, kind in attached:
        main, _, sub = kind.partition("/")
        made.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return made.as_bytes()


def archive(**members: bytes) -> bytes:
    """A zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return out.getvalue()


THREE = mail(
    ("offer.pdf", OFFER, "application/pdf"), ("notes.txt", NOTES, "text/plain"), ("prices.csv", TABLE, "text/csv")
)


async def test_a_mail_with_three_attachments(service: Live) -> None:
    board = await service.submit(THREE, "offer.eml")
    ended = await service.until(board)
    assert ended["status"] == "completed", ended
    names = ["notes.txt", "offer.pdf", "prices.csv"]
    assert [(child["filename"], child["status"]) for child in ended["children"]] == [(n, "completed") for n in names]
    for child in ended["children"]:
        below = await service.board(child["board"])
        assert (below["status"], below["opened_by"]) == ("completed", board)
        assert below["ended"] <= ended["ended"]
        report = (await service.get(f"boards/{child['board']}/report"))["report"]
        assert report["title"] == child["title"]
    report = (await service.get(f"boards/{board}/report"))["report"]
    assert [(part["name"], part["status"]) for part in report["children"]] == [(name, "completed") for name in names]
    assert report["children"][1]["line"].startswith("Offer 4711")
    shown = render(Report.model_validate(report))
    assert "Parts\n  notes.txt (completed): Meeting notes" in shown
    reasons = (await service.get(f"boards/{board}/why"))["reasons"]
    assert next(reason for reason in reasons if reason["source"] == "attachments")["state"] == "done"


async def test_an_attachment_that_cannot_be_read_degrades_the_mail(service: Live) -> None:
    broken = b"%PDF-1.7\nnothing of a document\n"
    board = await service.submit(
        mail(("a.pdf", broken, "application/pdf"), ("run.exe", b"MZ\x90\x00" + bytes(200), "application/x-dosexec")),
        "m.eml",
    )
    ended = await service.until(board)
    assert ended["status"] == "completed"
    (child,) = ended["children"]
    assert (child["filename"], child["status"]) == ("a.pdf", "failed")
    assert child["reason"] in ended["outcome"]["degraded"][0]["reason"]
    assert [part["status"] for part in (await service.get(f"boards/{board}/report"))["report"]["children"]] == [
        "failed"
    ]


@pytest.mark.long
async def test_an_archive_and_what_is_packed_in_it(service: Live) -> None:
    inner = archive(**{"deep/notes.txt": NOTES})
    litter = {"__MACOSX/._offer.pdf": b"x", ".DS_Store": b"x", "a/tool.exe": b"MZ\x90\x00" + bytes(200)}
    packed = archive(**{"a/offer.pdf": OFFER, "b/offer.pdf": OFFER, "inner.zip": inner, **litter})
    board = await service.submit(packed, "all.zip")
    ended = await service.until(board)
    assert ended["status"] == "completed", ended
    assert [child["name"] for child in ended["children"]] == ["inner.zip", "offer.pdf", "offer.pdf-2"]
    assert {child["status"] for child in ended["children"]} == {"completed"}
    assert ended["outcome"]["children"]["boards"] == 4
    (page,) = (await service.get(f"boards/{board}/entries", level="page"))["items"]
    assert "a/offer.pdf (" in page["value"]["text"]
    assert "DS_Store" not in page["value"]["text"]


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (archive(**{"run.exe": b"MZ\x90\x00" + bytes(200)}), "holds nothing that can be read"),
        (archive(), "holds nothing that can be read"),
        (archive(**{"zeros.bin": bytes(20_000_000)}), "packed more than 100 times"),
        (archive(**{"notes.txt": NOTES})[:60], "damaged zip"),
    ],
    # An archive holds the time it was made: as a name, it would differ between the processes that run the tests.
    ids=["a program", "nothing", "zeros", "cut"],
)
async def test_an_archive_with_nothing_to_read_fails_and_says_so(service: Live, packed: bytes, says: str) -> None:
    ended = await service.until(await service.submit(packed, "nothing.zip"))
    assert ended["status"] == "failed"
    assert says in ended["problem"]["detail"]


def nested(levels: int) -> bytes:
    """An archive in an archive in an archive."""
    inner = archive(**{"again.txt": NOTES})
    for _ in range(levels):
        inner = archive(**{"again.zip": inner})
    return inner


async def test_archives_within_archives_end(service: Live) -> None:
    board = await service.submit(nested(8), "again.zip")
    ended = await service.until(board)
    assert ended["status"] == "completed"
    assert ended["outcome"]["children"]["boards"] == 3
    everyone = (await service.get("boards", children="true"))["items"]
    deepest = next(item for item in everyone if item.get("depth") == 3)
    assert "nested 3 deep" in deepest["outcome"]["degraded"][0]["reason"]
