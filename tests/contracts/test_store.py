"""What every store does alike: one suite for the store in memory, the one on Redis, and the one on a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blackboard import keys
from blackboard.board import fold
from blackboard.entries import Answer, Commit, Fork, Header, Mismatch, Put, Retract
from blackboard.errors import BoardGone, UsageError
from blackboard.events import LogRecord, to_json
from blackboard.keys import new_board_id, partition_of
from blackboard.once import Once, made, place_of
from blackboard.ports import Store
from tests.making import activation, agenda, consistent, end, new_board, person, put, source, until

STORES = ["memory_store", "redis_store", pytest.param("cluster_store", marks=pytest.mark.cluster)]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


async def header_of(store: Store, board: str, key: str) -> Header:
    found = await store.entry(board, key)
    assert found is not None
    return Header.parse(found[0])


class TestCreating:
    async def test_a_board_begins_at_revision_one(self, store: Store) -> None:
        board = await new_board(store)
        state, log = await consistent(store, board)
        assert state.head == {
            "revision": "1", "status": "open", "tenant": "acme", "incarnation": "i1", "created": str(log[0].at),
        }  # fmt: skip
        assert [(r.id, r.type, r.incarnation, r.commit) for r in log] == [("1-0", "board.created", "i1", "create")]

    async def test_again_with_the_same_commit_id_answers_the_same(self, store: Store) -> None:
        board = store.new_id("acme")
        asked = Commit("board.created", "x", id="c", create=True, head={"status": "open", "tenant": "acme"})
        first = await store.commit(board, asked)
        again = await store.commit(board, asked)
        assert again == Answer("committed", 1, first.at, already=True)
        assert len(await store.log(board)) == 1

    async def test_on_another_board_s_id_is_a_conflict(self, store: Store) -> None:
        board = await new_board(store)
        answer = await store.commit(
            board, Commit("board.created", "x", id="other", create=True, head={"status": "open"})
        )
        assert (answer.status, answer.mismatches) == ("conflict", (Mismatch("revision", "0", "1"),))

    async def test_what_is_not_there_is_gone(self, store: Store) -> None:
        board = store.new_id("acme")
        assert (await person(store, board, put("page/0001"))).status == "gone"
        assert (await store.claim(board, "a", nonce="n", lease_ms=1000, worker="w")).status == "gone"
        assert await store.renew(board, "a", 1, lease_ms=1000) == "fenced"
        assert (await store.head(board), await store.projection(board), await store.log(board)) == (None, None, [])
        assert (await store.entry(board, "page/0001"), await store.leases(board)) == (None, {})
        assert await store.activity_tip(partition_of(board)) == "0-0"

    @pytest.mark.parametrize("id", ["", "x", "1-short", "99999999-" + "a" * 26, "01-" + "a" * 26, "1-" + "A" * 26])
    async def test_an_id_that_cannot_be_one(self, store: Store, id: str) -> None:
        with pytest.raises(BoardGone):
            await store.head(id)
        with pytest.raises(BoardGone):
            await person(store, id, put("page/0001"))

    async def test_ids_name_their_partition(self, store: Store) -> None:
        found = {partition_of(store.new_id("acme")) for _ in range(500)}
        assert found == set(range(16))


class TestVersions:
    async def test_count_from_one_and_never_start_again(self, store: Store) -> None:
        board = await new_board(store)
        answers = [
            await person(store, board, put("page/0001", "a")),
            await person(store, board, put("page/0001", "b")),
            await person(store, board, Retract("page/0001")),
            await person(store, board, put("page/0001", "c")),
        ]
        assert [answer.wrote for answer in answers] == [(("page/0001", "page/0001", n),) for n in (1, 2, 3, 4)]
        state, log = await consistent(store, board)
        assert state.values == {"page/0001": b'"c"'}
        gone = fold(board, log, at=4)
        assert gone.values == {}
        assert str(gone.header("page/0001")) == "3|gone|1||0|0|person:ann||"

    async def test_a_put_that_changes_nothing_makes_no_version(self, store: Store) -> None:
        board = await new_board(store)
        await source(store, board, "ocr", put("page/0001", "a", confidence=0.5), activation="a1")
        same = await source(store, board, "ocr", put("page/0001", "a", confidence=0.5), activation="a2")
        surer = await source(store, board, "ocr", put("page/0001", "a", confidence=0.6))
        assert (same.revision, same.wrote) == (3, (("page/0001", "page/0001", 0),))
        assert surer.wrote == (("page/0001", "page/0001", 2),)
        _state, log = await consistent(store, board)
        assert (log[2].entries, log[2].values) == ({}, {})

    async def test_retract_skips_what_is_gone_or_somebody_else_s(self, store: Store) -> None:
        board = await new_board(store)
        await source(store, board, "ocr", put("page/0001"), put("page/0002"))
        await person(store, board, put("page/0003", pin=True))
        skipped = await source(
            store,
            board,
            "pages",
            Retract("page/0001", owner="pages"),
            Retract("page/0003", owner="person:ann"),
            Retract("page/9"),
        )
        assert [version for *_, version in skipped.wrote] == [0, 0, 0]
        done = await source(store, board, "ocr", Retract("page/0001", owner="ocr"), Retract("page/0002"))
        again = await source(store, board, "ocr", Retract("page/0001", owner="ocr"))
        assert [version for *_, version in (*done.wrote, *again.wrote)] == [2, 2, 0]
        assert (await header_of(store, board, "page/0001")).pinned is False
        await consistent(store, board)

    async def test_a_put_wins_over_a_retract_of_the_key_it_lands_on(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/0001", pin=True))
        await source(store, board, "ocr", put("page/0001", "mine"))
        both = await source(store, board, "ocr", Retract("page/0001~ocr", owner="ocr"), put("page/0001", "new"))
        assert both.wrote == (("page/0001~ocr", "page/0001~ocr", 0), ("page/0001", "page/0001~ocr", 2))
        await consistent(store, board)

    async def test_one_key_put_twice_is_refused(self, store: Store) -> None:
        board = await new_board(store)
        with pytest.raises(UsageError):
            await person(store, board, put("page/0001", 1), put("page/0001", 2))
        await person(store, board, put("page/0001", pin=True))
        with pytest.raises(UsageError):
            await source(store, board, "ocr", put("page/0001", 1), put("page/0001~ocr", 2))
        await consistent(store, board)

    @pytest.mark.parametrize("key", ["page 1", "page|1", 'page/"', "page/a@1", "page/>", "", "#x"])
    async def test_keys_that_the_stored_forms_cannot_hold(self, store: Store, key: str) -> None:
        board = await new_board(store)
        with pytest.raises(UsageError):
            await person(store, board, put(key))
        with pytest.raises(UsageError):
            await person(store, board, checks=((key, 0),))


IMPOSSIBLE = [
    Commit("board.exploded", "x"),
    Commit("board.completed", "x"),
    Commit("board.changed", "x", head={"status": "failed"}),
    Commit("board.failed", "x", head={"status": "completed"}),
    Commit("board.changed", "x", head={"revision": "7"}),
    Commit("board.changed", "x", head={"incarnation": "a|b"}),
    Commit("board.changed", "a\nb"),
    Commit("board.changed", "Not A Source", mode="source"),
    Commit("board.changed", "x", id="#notes"),
    Commit("board.changed", "x", due=(("two words", 1),)),
    Commit("board.changed", "x", fork=Fork({}, {}, {})),
]


@pytest.mark.parametrize("commit", IMPOSSIBLE)
async def test_what_no_commit_may_say(store: Store, commit: Commit) -> None:
    board = await new_board(store)
    with pytest.raises(UsageError):
        await store.commit(board, commit)
    await consistent(store, board)


RIVALRY = [
    # mode, by, the entry there: owner, pinned, live -> where the put lands
    ("source", "ocr", None, "key"),
    ("source", "ocr", ("ocr", False, True), "key"),
    ("source", "ocr", ("ocr", False, False), "key"),
    ("source", "ocr", ("pages", False, True), "rival"),
    ("source", "ocr", ("pages", False, False), "key"),
    ("source", "ocr", ("person:ann", False, True), "key"),
    ("source", "ocr", ("person:ann", True, True), "rival"),
    ("source", "ocr", ("person:ann", True, False), "rival"),
    ("reviser", "ocr", ("pages", False, True), "key"),
    ("reviser", "ocr", ("pages", False, False), "key"),
    ("reviser", "ocr", ("person:ann", False, True), "key"),
    ("reviser", "ocr", ("person:ann", True, True), "rival"),
    ("reviser", "ocr", ("person:ann", True, False), "rival"),
    ("person", "person:bob", ("person:ann", True, True), "key"),
    ("controller", "controller", ("person:ann", True, True), "key"),
]


class TestRivals:
    @pytest.mark.parametrize(("mode", "by", "there", "lands"), RIVALRY)
    async def test_where_a_put_lands(
        self, store: Store, mode: Any, by: str, there: tuple[str, bool, bool] | None, lands: str
    ) -> None:
        board = await new_board(store)
        version = 0
        if there is not None:
            owner, pinned, live = there
            as_person: Any = "person" if owner.startswith("person:") else "controller"
            first = Commit("board.changed", owner, mode=as_person, writes=(put("page/0001", "theirs", pin=pinned),))
            await store.commit(board, first)
            version = 1
            if not live:
                # Only a person's retract pins; the controller's does not.
                mode_of_retract: Any = "person" if pinned else "controller"
                gone = Commit("board.changed", owner, mode=mode_of_retract, writes=(Retract("page/0001"),))
                await store.commit(board, gone)
                version = 2
        answer = await store.commit(
            board, Commit("contribution.committed", by, mode=mode, writes=(put("page/0001", "mine"),))
        )
        target, number = ("page/0001", version + 1) if lands == "key" else (f"page/0001~{by}", 1)
        assert answer.wrote == (("page/0001", target, number),)
        assert (await header_of(store, board, target)).owner == by
        await consistent(store, board)

    async def test_a_person_s_pin_on_a_rival_holds(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/0001", pin=True))
        await source(store, board, "ocr", put("page/0001", "no"))
        await person(store, board, Retract("page/0001~ocr"))
        assert (await source(store, board, "ocr", put("page/0001", "still no"))).wrote == (
            ("page/0001", "page/0001", 0),
        )
        await consistent(store, board)

    async def test_unpinned_the_key_is_the_source_s_again(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/0001", "theirs", pin=True))
        await person(store, board, put("page/0001", "theirs"))
        assert (await source(store, board, "ocr", put("page/0001", "mine"))).wrote == (("page/0001", "page/0001", 3),)


class TestRevisers:
    async def test_what_a_reviser_replaced_is_remembered(self, store: Store) -> None:
        board = await new_board(store)
        await source(store, board, "summary", put("summary/main", "draft"))
        draft = await header_of(store, board, "summary/main")
        for text in ("better", "best"):
            await source(store, board, "revise", put("summary/main", text), mode="reviser")
            revised = await header_of(store, board, "summary/main")
            assert (revised.owner, revised.base) == ("revise", f"summary:{draft.digest}")
        # The summarizer runs again and says the same: the revision stands.
        same = await source(store, board, "summary", put("summary/main", "draft"))
        assert same.wrote == (("summary/main", "summary/main", 0),)
        other = await source(store, board, "summary", put("summary/main", "another draft"))
        assert other.wrote == (("summary/main", "summary/main", 4),)
        back = await header_of(store, board, "summary/main")
        assert (back.owner, back.base) == ("summary", "")
        stranger = await source(store, board, "other", put("summary/main", "x"))
        assert stranger.wrote == (("summary/main", "summary/main~other", 1),)
        await consistent(store, board)

    async def test_the_base_ends_with_a_person_s_word(self, store: Store) -> None:
        board = await new_board(store)
        await source(store, board, "summary", put("summary/main", "draft"))
        await source(store, board, "revise", put("summary/main", "better"), mode="reviser")
        await person(store, board, put("summary/main", "mine", pin=True))
        assert (await header_of(store, board, "summary/main")).base == ""
        answer = await source(store, board, "summary", put("summary/main", "draft"))
        assert answer.wrote == (("summary/main", "summary/main~summary", 1),)
        await consistent(store, board)


class TestChecks:
    async def test_every_mismatch_is_told_and_nothing_written(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/0001"))
        await agenda(store, board, activation("a1", "pending"))
        asked = Commit(
            "contribution.committed", "person:ann", id="n1", mode="person", writes=(put("page/0003"),), note=True,
            checks=(("page/0001", 0), ("page/0002", 2), ("page/0003", 0)), revision=1,
            agenda_checks=(("a1", "", 0), ("a2", "pending", 0), ("a1", "pending", 0)),
        )  # fmt: skip
        answer = await store.commit(board, asked)
        assert answer.mismatches == (
            Mismatch("revision", "1", "3"),
            Mismatch("page/0001", "0", "1"),
            Mismatch("page/0002", "2", "0"),
            Mismatch("agenda:a1", "absent", "pending@0"),
            Mismatch("agenda:a2", "pending@0", "absent"),
        )
        state, log = await consistent(store, board)
        assert (answer.status, answer.revision, state.revision) == ("conflict", 3, 3)
        assert (log[-1].id, log[-1].type, log[-1].commit) == ("3-1", "contribution.refused", "n1")
        assert log[-1].say()["mismatches"][1] == {"key": "page/0001", "expected": "0", "actual": "1"}

    async def test_a_refusal_is_remembered(self, store: Store) -> None:
        board = await new_board(store)
        asked = Commit(
            "board.changed", "person:ann", id="n", mode="person", writes=(put("page/1"),), checks=(("page/2", 1),)
        )
        first = await store.commit(board, asked)
        await person(store, board, put("page/2"))
        again = await store.commit(board, asked)
        assert (first.already, again.already, again.mismatches) == (False, True, first.mismatches)

    async def test_an_acknowledged_commit_answers_the_same_for_ever(self, store: Store) -> None:
        board = await new_board(store)
        asked = Commit("board.changed", "person:ann", id="n", mode="person", writes=(put("page/1"), put("page/2")))
        first = await store.commit(board, asked)
        await person(store, board, put("page/1", "later"))
        await end(store, board)
        again = await store.commit(board, asked)
        assert (again.already, again.revision, again.at, again.wrote) == (True, 2, first.at, first.wrote)

    async def test_notes_are_capped(self, store: Store) -> None:
        board = await new_board(store)
        await asyncio.gather(*(person(store, board, checks=(("page/1", 1),), note=True) for _ in range(130)))
        _, log = await consistent(store, board)
        assert [record.id for record in log] == ["1-0", *(f"1-{n}" for n in range(1, 101))]
        await person(store, board, put("page/1"))
        assert (await store.log(board, "1-99"))[0].id == "1-100"
        assert (await store.log(board, "1-100", count=1))[0].id == "2-0"

    async def test_only_the_running_epoch_may_write(self, store: Store) -> None:
        board = await new_board(store)
        await agenda(store, board, activation("a1", "running", 2))
        for fence in (("a1", 1), ("a1", 3), ("a2", 2)):
            answer = await source(store, board, "ocr", put("page/1"), fence=fence, note=True)
            assert answer.status == "fenced"
        answer = await source(store, board, "ocr", put("page/1"), fence=("a1", 2), id="a1:2:1")
        assert answer.ok
        _state, log = await consistent(store, board)
        assert log[-1].epoch == "2"
        assert [record.say()["refused"] for record in log if record.is_note] == ["fenced"] * 3


class TestTheEnd:
    async def test_nothing_follows_it(self, store: Store) -> None:
        board = await new_board(store, due=(("deadline", 60_000),))
        await agenda(store, board, activation("a1"), due_ms=0)
        claimed = await store.claim(board, "a1", nonce="n", lease_ms=1, worker="w")
        assert claimed.status == "claimed"
        answer = await end(store, board, due=(("retention", 0),), id="end")
        before = await consistent(store, board)
        assert before[0].head["ended"] == str(answer.at)
        assert (await person(store, board, put("page/1"), note=True)).status == "closed"
        assert (await source(store, board, "ocr", put("page/1"), fence=("a1", 1), note=True)).status == "closed"
        assert (await store.claim(board, "a1", nonce="n", lease_ms=1, worker="w")).status == "closed"
        assert await store.renew(board, "a1", 1, lease_ms=1000) == "cancelled"
        assert await store.leases(board) == {}
        _, due = await store.due(partition_of(board))
        assert [(row.board, row.name) for row in due] == [(board, "retention")]
        assert (await end(store, board, id="end")).already
        assert await consistent(store, board) == before


class TestClaiming:
    async def test_brings_the_inputs_as_they_are_now(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/0001", "one"), put("page/0002", "two"), put("page/0003", "three"))
        await person(store, board, put("page/0002", "zwei"), Retract("page/0003"))
        inputs = "=page/0001@1 page/0002@1 page/0003@1 page/0004@0"
        await agenda(store, board, activation("a1", inputs=inputs, source="x"))
        claimed = await store.claim(board, "a1", nonce="n1", lease_ms=60_000, worker="w1")
        assert (claimed.status, claimed.revision, claimed.wrote) == ("claimed", 5, ())
        taken = claimed.activation
        assert taken is not None
        assert (taken.status, taken.epoch, taken.data) == ("running", 1, {"source": "x"})
        assert taken.inputs == (
            ("page/0001", 1, True), ("page/0002", 2, False), ("page/0003", 0, False), ("page/0004", 0, False),
        )  # fmt: skip
        assert [(read.key, read.header and read.header.version, read.value) for read in claimed.reads] == [
            ("page/0001", 1, b'"one"'), ("page/0002", 2, b'"zwei"'), ("page/0003", 2, None), ("page/0004", None, None),
        ]  # fmt: skip
        _state, log = await consistent(store, board)
        assert (log[-1].type, log[-1].by, log[-1].epoch) == ("activation.claimed", "w1", "1")
        assert log[-1].say() == {"worker": "w1"}
        leases = await store.leases(board)
        assert leases == {"a1": (claimed.at + 60_000, "n1", claimed.at)}

    async def test_twice_is_busy_for_others_and_the_same_for_the_holder(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/1", "one"))
        await agenda(store, board, activation("a1", inputs="=page/1@1"))
        first = await store.claim(board, "a1", nonce="n1", lease_ms=60_000, worker="w1")
        assert (await store.claim(board, "a1", nonce="n2", lease_ms=60_000, worker="w2")).status == "busy"
        again = await store.claim(board, "a1", nonce="n1", lease_ms=60_000, worker="w1")
        assert (again.status, again.revision, again.at) == ("already", first.revision, first.at)
        assert (again.activation, again.reads) == (first.activation, first.reads)
        await person(store, board, put("page/1", "moved"))
        assert (await store.claim(board, "a1", nonce="n1", lease_ms=60_000, worker="w1")).status == "already"
        await consistent(store, board)

    @pytest.mark.parametrize("moves", ["moved", "gone", "appeared"])
    async def test_stale_when_a_checked_input_moved(self, store: Store, moves: str) -> None:
        board = await new_board(store)
        await person(store, board, put("page/1", "one"))
        await agenda(store, board, activation("a1", inputs="=page/1@1 =page/2@0"))
        writes: dict[str, Put | Retract] = {
            "moved": put("page/1", "two"),
            "gone": Retract("page/1"),
            "appeared": put("page/2"),
        }
        await person(store, board, writes[moves])
        before = await consistent(store, board)
        assert (await store.claim(board, "a1", nonce="n", lease_ms=1000, worker="w")).status == "stale"
        assert (await consistent(store, board), await store.leases(board)) == (before, {})

    async def test_what_an_earlier_epoch_wrote_itself_is_no_move(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/1", "one"))
        await agenda(store, board, activation("a1", inputs="=page/1@1"))
        await store.claim(board, "a1", nonce="n", lease_ms=1, worker="lost")
        half = Commit("contribution.committed", "polish", mode="reviser", activation="a1", fence=("a1", 1),
                      writes=(put("page/1", "half"),))  # fmt: skip
        assert (await store.commit(board, half)).ok
        await asyncio.sleep(0.01)
        taken = await store.claim(board, "a1", nonce="m", lease_ms=60_000, worker="next")
        assert taken.status == "claimed" and taken.activation is not None
        assert taken.activation.inputs == (("page/1", 2, True),)
        await consistent(store, board)

    @pytest.mark.parametrize("status", ["done", "failed", "stale", "cancelled"])
    async def test_finished(self, store: Store, status: str) -> None:
        board = await new_board(store)
        await agenda(store, board, activation("a1", status, 1))
        assert (await store.claim(board, "a1", nonce="n", lease_ms=1000, worker="w")).status == "finished"
        assert (await store.claim(board, "a2", nonce="n", lease_ms=1000, worker="w")).status == "gone"
        assert await store.renew(board, "a1", 1, lease_ms=1000) == ("cancelled" if status == "cancelled" else "fenced")
        assert await store.renew(board, "a2", 1, lease_ms=1000) == "fenced"

    async def test_a_lost_worker_s_lease_expires_and_the_next_inherits(self, store: Store) -> None:
        board = await new_board(store)
        await agenda(store, board, activation("a1"))
        await store.claim(board, "a1", nonce="n1", lease_ms=20, worker="w1")
        await source(store, board, "ocr", put("page/1"), put("page/2"), fence=("a1", 1), activation="a1")
        await source(store, board, "ocr", Retract("page/2"), fence=("a1", 1), activation="a1")
        await source(store, board, "pages", put("page/3"), activation="a1x")

        async def taken_over() -> Any:
            answer = await store.claim(board, "a1", nonce="n2", lease_ms=60_000, worker="w2")
            return answer if answer.status == "claimed" else None

        second = await until(taken_over)
        assert (second.activation.epoch, second.wrote) == (2, ("page/1",))
        assert await store.renew(board, "a1", 1, lease_ms=1000) == "fenced"
        assert (await source(store, board, "ocr", put("page/1", "late"), fence=("a1", 1))).status == "fenced"
        _, log = await consistent(store, board)
        assert log[-1].say() == {"worker": "w2", "lost": True}
        again = await store.claim(board, "a1", nonce="n2", lease_ms=60_000, worker="w2")
        assert (again.status, again.wrote) == ("already", ("page/1",))

    async def test_renewing_moves_expiry_and_due(self, store: Store) -> None:
        board = await new_board(store)
        await agenda(store, board, activation("a1"))
        first = await store.claim(board, "a1", nonce="n1", lease_ms=10, worker="w1")
        assert await store.renew(board, "a1", 1, lease_ms=60_000) == "ok"
        expiry, nonce, _ = (await store.leases(board))["a1"]
        assert (nonce, expiry >= first.at + 60_000) == ("n1", True)

        async def past() -> bool:
            return await store.now() > first.at + 10

        await until(past)
        assert (await store.due(partition_of(board)))[1] == []
        assert (await store.claim(board, "a1", nonce="n2", lease_ms=10, worker="w2")).status == "busy"
        assert (await store.claim(board, "a1", nonce="n1", lease_ms=10, worker="w1")).revision == first.revision

    async def test_partial_commits_keep_lease_and_due_and_the_last_one_drops_them(self, store: Store) -> None:
        board = await new_board(store)
        await agenda(store, board, activation("a1"), due_ms=0)
        await store.claim(board, "a1", nonce="n1", lease_ms=0, worker="w1")
        part = await agenda(store, board, activation("a1", "running", 1, said=1), fence=("a1", 1))
        assert part.ok
        assert "a1" in await store.leases(board)
        assert [row.name for row in (await store.due(partition_of(board)))[1]] == ["a1"]
        await agenda(store, board, activation("a1", "done", 1), fence=("a1", 1))
        assert (await store.leases(board), (await store.due(partition_of(board)))[1]) == ({}, [])


class TestTimes:
    async def test_due_and_snoozed(self, store: Store) -> None:
        board = await new_board(store, due=(("deadline", 0), ("later", 60_000)))
        now, due = await store.due(partition_of(board))
        assert [(row.board, row.name) for row in due] == [(board, "deadline")]
        assert due[0].at <= now
        await store.snooze(due, 60_000)
        assert (await store.due(partition_of(board)))[1] == []
        await store.commit(board, Commit("board.changed", "x", due=(("deadline", None), ("later", -1))))
        await store.snooze(due, 0)
        assert [row.name for row in (await store.due(partition_of(board)))[1]] == ["later"]

    async def test_named_leases(self, store: Store) -> None:
        assert await store.hold("p0", "a", 60_000)
        assert await store.hold("p0", "a", 60_000)
        assert not await store.hold("p0", "b", 60_000)
        await store.release("p0", "b")
        assert not await store.hold("p0", "b", 60_000)
        await store.release("p0", "a")
        assert await store.hold("p0", "b", 10)

        async def free() -> bool:
            return await store.hold("p0", "c", 60_000)

        await until(free)


class TestListing:
    async def test_a_tenant_s_boards_newest_first_page_by_page(self, store: Store) -> None:
        mine = [await new_board(store) for _ in range(23)]
        theirs = await new_board(store, tenant="rival")
        seen: list[tuple[int, str]] = []
        cursor = ""
        while True:
            page, cursor = await store.boards("acme", before=cursor, limit=5)
            seen += [(row.created, row.id) for row in page]
            assert all(row.head["tenant"] == "acme" for row in page)
            if not cursor:
                break
        assert seen == sorted(seen, reverse=True)
        assert sorted(id for _, id in seen) == sorted(mine)
        assert [row.id for row in (await store.boards("rival"))[0]] == [theirs]
        assert await store.boards("nobody") == ([], "")

    @pytest.mark.parametrize("cursor", ["x", "12", "1.x", "-1.0-" + "a" * 26])
    async def test_a_cursor_that_is_none(self, store: Store, cursor: str) -> None:
        with pytest.raises(UsageError):
            await store.boards("acme", before=cursor)


class TestChildren:
    async def test_they_are_listed_only_when_asked_for(self, store: Store) -> None:
        parent = await new_board(store)
        child = keys.derived_board_id(store.partitions, parent, "part")
        head = {"status": "open", "tenant": "acme", "incarnation": "i", "opened_by": parent}
        assert (await store.commit(child, Commit("board.created", "x", id="open", create=True, head=head))).ok
        again = await store.commit(child, Commit("board.created", "x", id="open", create=True, head=head))
        assert (again.ok, again.already) == (True, True)
        assert [row.id for row in (await store.boards("acme"))[0]] == [parent]
        assert {row.id for row in (await store.boards("acme", children=True))[0]} == {parent, child}
        first, cursor = await store.boards("acme", children=True, limit=1)
        rest, end_ = await store.boards("acme", children=True, limit=1, before=cursor)
        assert ({first[0].id, rest[0].id}, end_) == ({parent, child}, "")
        await end(store, child)
        assert await store.retire(child)
        assert [row.id for row in (await store.boards("acme", children=True))[0]] == [parent]

    async def test_places_are_given_once_and_up_to_the_limits(self, store: Store) -> None:
        top, other = await new_board(store), keys.new_board_id(0)
        limits = {"most_children": 2, "most_below": 3}
        ids = [keys.new_board_id(n) for n in range(5)]
        asked = [
            (ids[0], top),
            (ids[0], top),
            (ids[1], top),
            (ids[2], top),
            (ids[2], other),
            (ids[3], other),
            (ids[0], top),
        ]
        answers = [await store.adopt(top, child, parent, **limits) for child, parent in asked]
        assert answers == ["adopted", "adopted", "adopted", "children", "adopted", "below", "adopted"]
        at_once = await asyncio.gather(*(store.adopt(top, id, other, most_children=9, most_below=4) for id in ids))
        assert sorted(at_once) == ["adopted", "adopted", "adopted", "adopted", "below"]
        await end(store, top)
        assert await store.adopt(top, ids[0], top, **limits) == "closed"
        assert await store.adopt(keys.new_board_id(0), ids[0], top, **limits) == "gone"


class TestActivity:
    async def test_tells_every_change_once_in_order(self, store: Store) -> None:
        boards = [await new_board(store) for _ in range(5)]
        for board in boards:
            await person(store, board, put("page/1"))
        cursors = dict.fromkeys(range(16), "0-0")
        seen: dict[str, list[tuple[int, str]]] = {}
        while found := await store.activity(cursors, block_ms=0, count=3):
            for partition, changes in found.items():
                cursors[partition] = changes[-1].cursor
                for change in changes:
                    seen.setdefault(change.board, []).append((change.revision, change.type))
        assert seen == {board: [(1, "board.created"), (2, "board.changed")] for board in boards}
        assert {p: await store.activity_tip(p) for p in range(16)} == cursors

    async def test_wakes_for_the_first_change(self, store: Store) -> None:
        cursors = {p: await store.activity_tip(p) for p in range(16)}
        waiting = asyncio.create_task(store.activity(cursors, block_ms=20_000))
        await asyncio.sleep(0.02)
        board = await new_board(store)
        found = await asyncio.wait_for(waiting, 10)
        assert [change.board for change in found[partition_of(board)]] == [board]

    async def test_gives_up_in_time(self, store: Store) -> None:
        assert await store.activity({0: "0-0", 3: "0-0"}, block_ms=30) == {}

    async def test_progress_reaches_those_who_listen_now(self, store: Store, request: pytest.FixtureRequest) -> None:
        board, other = await new_board(store), await new_board(store)
        await store.publish(board, b"nobody hears this")
        heard, deaf = store.progress(board), store.progress(other)
        first = asyncio.ensure_future(anext(heard))
        silence = asyncio.ensure_future(anext(deaf))

        async def arrived() -> bool:
            await store.publish(board, b"page 1")
            return first.done()

        await until(arrived)
        if "cluster_store" in request.node.name and first.result() == b"nobody hears this":
            # Nodes of a cluster pass messages on in their own time: one may arrive behind a subscription made after it.
            first = asyncio.ensure_future(anext(heard))
            await until(arrived)
        assert first.result() == b"page 1"
        assert not silence.done()
        silence.cancel()
        await asyncio.wait([silence])
        for stream in (heard, deaf):
            await stream.aclose()  # type: ignore[attr-defined]


class TestLargeValues:
    async def test_lie_in_the_blob_store(self, store: Store) -> None:
        board = await new_board(store)
        value = b'"' + b"x" * 300_000 + b'"'
        answer = await person(store, board, Put("page/1", value))
        assert answer.wrote[0][2] == 1
        found = await store.entry(board, "page/1")
        assert found is not None
        stored = found[1]
        assert stored is not None
        assert len(stored) < 200
        assert Header.parse(found[0]).size == len(value)
        assert await store.resolve(stored) == value
        assert await store.resolve(b'"small"') == b'"small"'
        assert (await person(store, board, Put("page/1", value))).wrote[0][2] == 0
        await consistent(store, board)

    async def test_a_value_that_looks_like_a_reference_is_only_a_value(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, Put("page/1", b'"' + b"s" * 300_000 + b'"'))
        secret = (await store.entry(board, "page/1"))[1]  # type: ignore[index]
        assert secret is not None
        await person(store, board, Put("page/2", secret))
        stored = (await store.entry(board, "page/2"))[1]  # type: ignore[index]
        assert stored is not None
        assert await store.resolve(stored) == secret


class TestForks:
    async def test_begin_with_another_board_s_state(self, store: Store) -> None:
        board = await new_board(store)
        await person(store, board, put("page/1", "a"), put("page/2"))
        await person(store, board, put("page/1", "b"), Retract("page/2"))
        await agenda(store, board, activation("a1", "done", 1, "=page/1@2", source="x"))
        state, _ = await consistent(store, board)
        fork = Fork(state.entries, state.values, state.agenda)
        copy = await new_board(store, fork=fork, writes=(put("page/1", "c"), put("page/2")), mode="person")
        forked, _log = await consistent(store, copy)
        assert (forked.agenda, forked.values) == (state.agenda, {"page/1": b'"c"', "page/2": b'"text"'})
        assert [forked.header(key).version for key in ("page/1", "page/2")] == [3, 3]  # type: ignore[union-attr]
        assert (await person(store, copy, put("page/1", "d"))).wrote == (("page/1", "page/1", 4),)
        assert (await consistent(store, board))[0] == state

    async def test_of_any_size(self, store: Store) -> None:
        """A script cannot pass more than 8,000 arguments to one call."""
        names = [f"page/{n:05}" for n in range(6000)]
        fork = Fork(dict.fromkeys(names, "1|live|0|00|3|1|x||"), dict.fromkeys(names, b'"a"'), {})
        board = await new_board(store, fork=fork)
        many = await source(store, board, "x", *(put(f"claim/{n}", n) for n in range(5000)))
        assert many.wrote[-1] == ("claim/4999", "claim/4999", 1)
        state, _ = await consistent(store, board)
        assert len(state.values) == 11_000


class TestListening:
    async def test_records_equal_the_log_s_byte_for_byte(self, store: Store) -> None:
        told: list[tuple[str, LogRecord]] = []
        remove = store.listen(lambda board, record: told.append((board, record)))
        board = await new_board(store)
        await person(
            store,
            board,
            put("page/2", "b", confidence=0.123456),
            put("page/1", pin=True),
            id="n1",
            body={"why": [1, "ü"]},
        )
        await person(store, board, put("page/2"), id="n1")
        await person(store, board, checks=(("page/1", 7),), note=True)
        await agenda(store, board, activation("a1", inputs="=page/1@1 page/2@1"), due_ms=5)
        await store.claim(board, "a1", nonce="n", lease_ms=60_000, worker="w")
        await store.claim(board, "a1", nonce="n", lease_ms=60_000, worker="w")
        await source(
            store, board, "ocr", put("page/1", 1), put("page/2", 2), put("a/b"), fence=("a1", 1), activation="a1"
        )
        await source(store, board, "fix", put("a/b", 2), mode="reviser")
        await person(store, board, Retract("page/2"), Retract("page/9"))
        state, _ = await consistent(store, board)
        await end(store, board)
        forked = await new_board(
            store, fork=Fork(state.entries, state.values, state.agenda), writes=(Retract("page/1"),)
        )
        logs = [(id, record) for id in (board, forked) for record in await store.log(id) if not record.is_note]
        assert [(id, to_json(record)) for id, record in told] == [(id, to_json(record)) for id, record in logs]
        assert told == logs
        remove()
        remove()
        await new_board(store)
        assert len(told) == len(logs)


class TestRetiring:
    async def test_only_what_has_ended(self, store: Store) -> None:
        board = await new_board(store)
        assert not await store.retire(board)
        await end(store, board)
        assert await store.retire(board)
        assert (await store.head(board), await store.log(board)) == (None, [])
        assert await store.boards("acme") == ([], "")
        assert await store.retire(board)
        assert (await person(store, board, put("page/1"))).status == "gone"


class TestRequestsSentAgain:
    async def test_one_at_a_time_answers_one(self, store: Store) -> None:
        place = place_of(16, "acme", "/v1/documents", "k")
        assert await store.once(*place, "a1", 60_000) == "mine"
        assert [await store.once(*place, nonce, 60_000) for nonce in ("b2", "a1", "b2")] == ["busy", "mine", "busy"]
        assert await store.once(*place, "b2", 0) == "busy"
        assert await store.once(*place, "a1", 0) == "mine"
        assert await store.once(*place, "b2", 60_000) == "mine"
        assert await store.once(place[0], place_of(16, "acme", "/v1/documents", "l")[1], "c3", 60_000) == "mine"

    async def test_whoever_lost_its_turn_makes_nothing(self, store: Store) -> None:
        """A reservation lapsed while its holder slept; the next one came, and the sleeper must not make a second board."""
        place = place_of(16, "t", "/p", "k")

        def commit(nonce: str, id: str) -> Commit:
            head = {"status": "open", "tenant": "t"}
            asked = Once(*place, nonce, "abc123")
            return Commit(
                "board.created", "x", id=id, create=True, head=head, writes=(Put("page/1", b"{}"),), once=asked
            )

        assert await store.once(*place, "a1", 1) == "mine"
        await until(lambda: _said(store, place, "b2"))
        late, board = new_board_id(place[0]), new_board_id(place[0])
        answer = await store.commit(late, commit("a1", "1"))
        assert (answer.status, [m.key for m in answer.mismatches]) == ("conflict", ["once"])
        assert await store.head(late) is None
        first = await store.commit(board, commit("b2", "2"))
        assert first.ok
        # The reply was lost, and the step is sent again.
        assert (await store.commit(board, commit("b2", "2"))).already
        assert (await store.commit(late, commit("a1", "1"))).status == "conflict"
        said = made(await store.once(*place, "c3", 0))
        assert said is not None
        assert (said.board, said.revision, said.fingerprint) == (board, 1, "abc123")


async def _said(store: Store, place: tuple[int, str], nonce: str) -> bool:
    return await store.once(*place, nonce, 60_000) == "mine"
