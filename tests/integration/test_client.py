"""The Python client against a real service: the same methods with an event loop and without."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from blackboard.client import Patience, Put, Retract
from blackboard.errors import (
    BoardClosed,
    BoardError,
    BoardGone,
    ConflictError,
    EntryConflict,
    InvalidValue,
    OutcomeUnknown,
    StorageUnavailable,
    UsageError,
)
from tests.integration.serving import Served, serving
from tests.making import end, person, put
from tests.speaking import KINDS, Cutter, Kind, speaking


@pytest.fixture
async def served(redis_store: Any) -> AsyncIterator[Served]:
    """A service without controller or workers."""
    async with serving(redis_store) as served:
        yield served


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[Any]:
    """A client of either kind."""
    async with speaking(request.param, served.base) as client:
        yield client


async def test_a_document_in_every_form(client: Any, tmp_path: Path) -> None:
    file = tmp_path / "a note.txt"
    file.write_text("Signed on 2024-05-06.")
    by_path = await client.submit(file, goal="page,report", deadline_s=90, hold="review", budget={"usd": 0.5})
    by_name = await client.submit(str(file))
    by_bytes = await client.submit(file.read_bytes(), filename="other.txt", sources=["intake", "pages"])
    by_text = await client.submit(text="Signed on 2024-05-06.", filename="third.txt", priority="batch")
    boards = [await handle.board() for handle in (by_path, by_name, by_bytes, by_text)]
    assert [board.filename for board in boards] == ["a note.txt", "a note.txt", "other.txt", "third.txt"]
    assert boards[0].goal == ["page", "report"] and boards[0].raw["hold"] == "review"
    assert boards[0].raw["policy"]["budget"]["usd"] == 0.5 and boards[0].raw["deadline_ms"] == 90_000
    assert set(boards[2].sources) == {"intake", "pages"}
    assert boards[3].priority == "batch"
    assert len({board.id for board in boards}) == 4, "equal documents are documents of their own"
    assert all(board.is_open and board.status == "open" and board.revision == 1 for board in boards)
    for words in ({}, {"text": "a", "url": "https://example.org/a"}):
        with pytest.raises(UsageError, match="exactly one"):
            await client.submit(**words)
    with pytest.raises(FileNotFoundError):
        await client.submit(tmp_path / "none.pdf")


async def test_boards_come_page_by_page(client: Any) -> None:
    made = [(await client.submit(text=f"Number {number}.")).id for number in range(7)]
    assert [board.id async for board in client.boards(page=3)] == made[::-1]
    assert [board.id async for board in client.boards(page=7)] == made[::-1]


async def test_entries_under_checks(client: Any) -> None:
    handle = await client.submit(text="Some text.")
    first = await client.put_entry(handle.id, "page/0001", {"number": 1, "text": "One."}, confidence=0.5)
    assert (first.version, first.confidence, first.pinned, first.level, first.name) == (1, 0.5, True, "page", "0001")
    with pytest.raises(EntryConflict) as taken:
        await client.put_entry(handle.id, "page/0001", {"number": 1, "text": "Uno."})
    assert (taken.value.current, taken.value.live, taken.value.slug) == (1, True, "precondition-failed")
    second = await client.put_entry(handle.id, "page/0001", {"number": 1, "text": "Two."}, if_version=1, pin=False)
    assert (second.version, second.pinned, second.value["text"]) == (2, False, "Two.")
    assert (await client.entry(handle.id, "page/0001", version=1)).value["text"] == "One."
    assert [entry.key for entry in await client.entries(handle.id, "page")] == ["page/0001"]
    with pytest.raises(InvalidValue) as off:
        await client.put_entry(handle.id, "page/0001", {"number": "one", "text": "x"}, if_version=2)
    assert [pointer for pointer, _ in off.value.errors] == ["/number"]
    with pytest.raises(EntryConflict) as stale:
        await client.delete_entry(handle.id, "page/0001", if_version=1)
    assert stale.value.current == 2 and stale.value.request_id
    await client.delete_entry(handle.id, "page/0001", if_version=2)
    with pytest.raises(BoardGone, match="no such entry"):
        await client.entry(handle.id, "page/0001")
    with pytest.raises(UsageError, match="not an entry's key"):
        await client.entry(handle.id, "page")


async def test_a_board_from_its_beginning_to_its_end(served: Served, client: Any) -> None:
    handle = await client.submit(text="Some text.")
    with pytest.raises(BoardError) as early:
        await handle.report()
    assert early.value.slug == "report-not-ready"
    assert (await handle.report(partial=True)).partial
    with pytest.raises(TimeoutError):
        await handle.result(timeout=0.1)
    store = served.service.store
    await person(store, handle.id, put("report/document", {"title": "A note"}))
    await end(store, handle.id)
    ended = await handle.result(timeout=10)
    assert (ended.status, ended.report) == ("completed", {"title": "A note"})
    assert (await client.board(handle.id, at=1)).raw["entries"][0]["key"] == "upload/original"
    assert [record.id for record in await client.log(handle.id)] == [
        event.id.partition(".")[2] async for event in handle.events()
    ]
    assert {reason["source"] for reason in await client.why(handle.id)} == {"intake", "pages", "report"}
    assert await client.activations(handle.id) == []
    with pytest.raises(BoardClosed) as closed:
        await client.put_entry(handle.id, "page/0001", {"number": 1, "text": "One."})
    assert (closed.value.slug, bool(closed.value.request_id)) == ("board-ended", True)
    assert (await client.cancel(handle.id)).status == "completed"


async def test_the_rest_of_what_can_be_asked(client: Any) -> None:
    assert {source["name"] for source in (await client.sources())["items"]} == {"intake", "pages", "report"}
    handle = await client.handle((await client.submit(text="Some text.")).id)
    assert (await client.calls(handle.id))["items"] == []
    assert await client.spending() == {}
    assert "models" in await client.capabilities()
    assert (await client.source("pages"))["name"] == "pages"
    with pytest.raises(BoardGone, match="no such source"):
        await client.source("nobody")
    with pytest.raises(BoardError) as nothing:
        await client.retry(handle.id)
    assert nothing.value.slug == "nothing-to-retry"
    with pytest.raises(InvalidValue, match="no such source"):
        await client.backfill(handle.id, "nobody")
    assert (await client.approve(handle.id)).raw["approved"]
    for id in ("3-" + "a" * 26, "../boards", "a b/c", "%00", "ä"):
        with pytest.raises(BoardGone) as gone:
            await client.board(id)
        assert gone.value.slug == "not-found" and gone.value.request_id


async def test_commits_forks_and_what_moved(client: Any) -> None:
    handle = await client.submit(text="Some text.")
    page = {"number": 1, "text": "one"}
    made = await client.commit(handle.id, Put("page/0001", page), checks={"page/0001": 0})
    assert made.entries == [{"key": "page/0001", "version": 1, "changed": True}]
    with pytest.raises(ConflictError) as refused:
        await client.commit(handle.id, Retract("page/0001"), checks={"page/0001": 2}, revision=9)
    assert [each["key"] for each in refused.value.mismatches] == ["revision", "page/0001"]
    moved = await client.diff(handle.id, start=1)
    assert [(each["key"], each["kind"]) for each in moved["entries"]] == [("page/0001", "added")]
    forked = await client.fork(handle.id, at=1)
    assert forked.raw["parent"] == f"{handle.id}@1"
    assert (await client.diff(forked.id, end=1))["to"] == 1
    with pytest.raises(InvalidValue, match="last revision is 2"):
        await client.fork(handle.id, at=3)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_submission_whose_answer_is_lost_is_sent_again_with_its_key(served: Served, kind: Kind) -> None:
    async with Cutter(served.server.port, iter([10, 0])) as cutter:
        async with speaking(kind, cutter.url) as client:
            handle = await client.submit(b"Some bytes.", filename="a.txt")
            assert (await client.board(handle.id)).filename == "a.txt"
        assert cutter.connections == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_whose_answer_is_lost_is_not_sent_again(served: Served, kind: Kind) -> None:
    board = await served.submit()
    async with Cutter(served.server.port, iter([10])) as cutter, speaking(kind, cutter.url) as client:
        with pytest.raises(OutcomeUnknown, match="did not answer"):
            await client.put_entry(board, "page/0001", {"number": 1, "text": "One."})
        assert (await client.entry(board, "page/0001")).version == 1
        assert cutter.connections == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_listens(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = "bb_test_secret0123456789"
    async with speaking(kind, "http://127.0.0.1:1", key, patience=Patience(retries=1)) as client:
        assert key not in repr(client)
        with pytest.raises(StorageUnavailable, match="no service answers at") as unreachable:
            await client.board("3-" + "a" * 26)
        with pytest.raises(StorageUnavailable):
            async for _ in client.events("3-" + "a" * 26):
                pass
    seen = [repr(unreachable.value), str(unreachable.value), caplog.text]
    error: BaseException | None = unreachable.value
    while error is not None:
        seen.append(f"{error!r} {vars(error)!r}")
        error = error.__cause__ or error.__context__
    assert not any(key in text for text in seen)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_too_large_is_refused_while_it_is_sent(redis_store: Any, kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "large.txt"
    file.write_bytes(b"a" * (12 << 20))
    async with serving(redis_store, max_upload_bytes=1 << 20) as served, speaking(kind, served.base) as client:
        for document in (file, file.read_bytes()):
            with pytest.raises(UsageError) as large:
                await client.submit(document)
            assert large.value.slug == "content-too-large"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_key_is_sent_and_never_told(served: Served, kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = "bb_test_secret0123456789"
    async with speaking(kind, served.base, key) as client:
        handle = await client.submit(text="Some text.")
        await end(served.service.store, handle.id)
        assert [event.type async for event in handle.events()][-1] == "board.completed"
        with pytest.raises(BoardClosed) as closed:
            await client.put_entry(handle.id, "page/0001", {"number": 1, "text": "One."})
    assert "/v1/documents" in caplog.text, "requests are logged"
    told = [
        caplog.text,
        repr(closed.value),
        repr(vars(closed.value)),
        repr(client),
        repr(handle),
        repr(handle.submitted),
    ]
    assert not any(key in text for text in told)
