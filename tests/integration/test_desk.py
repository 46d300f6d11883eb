"""The desk without HTTP: what it commits, and how it refuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from blackboard.blobs import Blobs
from blackboard.entries import Answer, Commit
from blackboard.errors import BoardClosed, BoardGone, InvalidKey, UsageError
from blackboard.events import LogRecord
from blackboard.memory import MemoryStore
from blackboard.ports import Store
from controller.desk import Desk, Submission
from controller.settings import Settings
from controller.values import EntryConflict, InvalidValue, NothingToRetry
from tests.integration.serving import SOURCES
from tests.making import activation, agenda, consistent, end, new_board, put, source

PAGE = {"number": 1, "text": "one"}


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def desk(store: Store) -> Desk:
    """A desk on each."""
    return desk_on(store)


def desk_on(store: Any) -> Desk:
    """A desk with three sources."""
    return Desk(store, store.blobs, SOURCES, Settings(_env_file=None))  # type: ignore[call-arg]


async def created(store: Store, board: str) -> LogRecord:
    """A board's first record."""
    return (await store.log(board))[0]


async def test_a_submission_is_one_commit(store: Store, desk: Desk) -> None:
    view = await desk.submit(Submission(text="Hello", filename="a.txt", goal=("page",), hold="review", tenant="acme"))
    state, log = await consistent(store, view.id)
    assert len(log) == 1
    assert (log[0].type, log[0].by) == ("board.created", "submitter")
    assert dict(view.head) == state.head
    assert {name: state.head[name] for name in ("status", "tenant", "goal", "policy", "filename", "priority", "hold")} == {
        "status": "open", "tenant": "acme", "goal": "page", "policy": "{}", "filename": "a.txt",
        "priority": "interactive", "hold": "review",
    }  # fmt: skip
    assert orjson.loads(state.head["sources"]) == {"intake": "3", "pages": "1", "report": "1"}
    assert len(state.head["incarnation"]) == 12
    header = state.header("upload/original")
    assert header is not None and (header.owner, header.pinned) == ("submitter", False)


async def test_only_chosen_sources_begin(store: Store, desk: Desk) -> None:
    view = await desk.submit(Submission(text="x", sources=("pages", "intake"), goal=("page",)))
    assert view.show()["sources"] == {"intake": "3", "pages": "1"}
    with pytest.raises(InvalidValue) as refused:
        await desk.submit(Submission(text="x", sources=("pages", "nobody"), goal=("report", "page"), deadline_s=0))
    assert [pointer for pointer, _ in refused.value.errors] == ["/sources/1", "/goal/0", "/deadline_s"]
    assert "nobody" not in str(refused.value)


async def test_tenants_do_not_meet(store: Store, desk: Desk) -> None:
    board = (await desk.submit(Submission(text="x", tenant="acme"))).id
    for call in (
        desk.view(board),
        desk.cancel(board, "person:a"),
        desk.approve(board, "person:a"),
        desk.retry(board, "person:a"),
        desk.put_entry(board, "page/0001", PAGE, if_version=0, by="person:a"),
        desk.delete_entry(board, "upload/x", if_version=1, by="person:a", tenant="other"),
    ):
        with pytest.raises((BoardGone, InvalidValue)):
            await call
    assert (await desk.view(board, tenant="acme")).revision == 1


async def test_contributions(store: Store, desk: Desk) -> None:
    board = await new_board(store, tenant="default")
    first = await desk.put_entry(board, "page/0001", PAGE, if_version=0, by="person:a")
    assert (first.version, first.revision, first.created) == (1, 2, True)
    second = await desk.put_entry(board, "page/0001", {**PAGE, "text": "two"}, if_version=None, by="person:b")
    assert (second.version, second.created) == (2, False)
    for version in (0, 1, 3):
        with pytest.raises(EntryConflict) as refused:
            await desk.put_entry(board, "page/0001", PAGE, if_version=version, by="person:a")
        assert (refused.value.current, refused.value.live) == (2, True)
    notes = [record for record in await store.log(board) if record.is_note]
    assert [record.by for record in notes] == ["person:a"] * 3
    gone = await desk.delete_entry(board, "page/0001", if_version=2, by="person:a")
    assert gone.version == 3
    with pytest.raises(EntryConflict) as refused:
        await desk.put_entry(board, "page/0001", PAGE, if_version=3, by="person:a")
    assert (refused.value.current, refused.value.live) == (3, False)
    back = await desk.put_entry(board, "page/0001", PAGE, if_version=0, by="person:a", pin=False, confidence=0.25)
    assert (back.version, back.created) == (4, True)
    state, _ = await consistent(store, board)
    header = state.header("page/0001")
    assert header is not None and (header.pinned, header.confidence, header.owner) == (False, 0.25, "person:a")


async def test_values_are_stored_in_full(store: Store, desk: Desk) -> None:
    board = await new_board(store, tenant="default")
    await desk.put_entry(board, "page/0001", PAGE, if_version=0, by="person:a")
    found = await store.entry(board, "page/0001")
    assert found is not None and found[1] is not None
    assert orjson.loads(found[1])["origin"] == "layer"
    with pytest.raises(InvalidKey):
        await desk.put_entry(board, "page/a b", PAGE, if_version=0, by="person:a")
    with pytest.raises(InvalidValue):
        await desk.put_entry(board, "unheard_of/a", {}, if_version=0, by="person:a")


async def test_what_an_ended_board_allows(store: Store, desk: Desk) -> None:
    board = await new_board(store, tenant="default")
    await end(store, board)
    before = await store.log(board)
    assert (await desk.cancel(board, "person:a")).status == "completed"
    for call in (
        desk.approve(board, "person:a"),
        desk.put_entry(board, "page/0001", PAGE, if_version=0, by="person:a"),
        desk.delete_entry(board, "page/0001", if_version=None, by="person:a"),
    ):
        with pytest.raises(BoardClosed):
            await call
    assert await store.log(board) == before


class Late(MemoryStore):
    """The board ends, or the entry changes, right before the commit."""

    async def commit(self, board: str, commit: Commit) -> Answer:
        if commit.by.startswith("person:"):
            await super().commit(board, Commit("board.failed", "controller", head={"status": "failed"}))
        return await super().commit(board, commit)


async def test_an_end_that_comes_first() -> None:
    store = Late(Blobs.at("memory://"))
    desk = desk_on(store)
    board = await new_board(store, tenant="default")
    assert (await desk.cancel(board, "person:a")).status == "failed"
    other = await new_board(store, tenant="default")
    with pytest.raises(BoardClosed):
        await desk.put_entry(other, "page/0001", PAGE, if_version=0, by="person:a")


async def test_retry_goes_on_with_what_was_done(store: Store, desk: Desk) -> None:
    view = await desk.submit(Submission(text="Hello", deadline_s=5))
    await source(store, view.id, "pages", put("page/0001", PAGE), activation="pages.1")
    done = activation("pages.1", "done", 2, "=upload/original@1", source="pages", binding="b", version="1", n=1)
    bad = activation("report.1", "failed", 1, source="report", binding="board", version="1", n=1, dead=True)
    await agenda(store, view.id, done, bad)
    await end(store, view.id, "failed")
    fork = await desk.retry(view.id, "person:a")
    state, log = await consistent(store, fork)
    assert (log[0].type, log[0].by) == ("board.created", "person:a")
    assert state.activation("pages.1") == done
    assert "report.1" not in state.agenda
    upload = await store.entry(fork, "upload/original")
    assert upload == await store.entry(view.id, "upload/original")
    assert await desk.retry(view.id, "person:a") != fork


async def test_retry_of_an_open_board(store: Store, desk: Desk) -> None:
    board = await new_board(store, tenant="default")
    with pytest.raises(NothingToRetry):
        await desk.retry(board, "person:a")
    with pytest.raises(UsageError):
        await desk.retry(board, "person:a", "nothing")
    bad = activation("report.1", "failed", 4, source="report", binding="board", version="1", n=1, dead=True, error={})
    await agenda(store, board, bad)
    assert await desk.retry(board, "person:a", "report.1") == board
    state, _ = await consistent(store, board)
    again = state.activation("report.1")
    assert again is not None
    assert (again.status, again.epoch, dict(again.data)) == (
        "pending", 4, {"source": "report", "binding": "board", "version": "1", "n": 1, "returned": 4},
    )  # fmt: skip
    _, due = await store.due(int(board.partition("-")[0]))
    assert [(row.board, row.name) for row in due] == [(board, "report.1")]
