"""Child boards through HTTP: opened once, waited for, seen, accounted for, cancelled, limited, removed with their parent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard import All, Blobs, Boards, Child, Each, Level, PermanentFailure, Upload, knowledge_source
from blackboard.entries import Answer, Commit
from blackboard.errors import StorageUnavailable
from controller.family import Family
from tests.fleet import promises, until
from tests.integration.guests import guest
from tests.integration.live import live


class Found(Level):
    """What a leaf says."""

    text: str


class Whole(Level):
    """What a board and its parts come to."""

    text: str
    parts: tuple[str, ...]


def package(*parts: Any, says: str = "", fails: str = "", waits: bool = False) -> Any:
    """A document that is a text and other documents, as JSON."""
    return {"says": says, "parts": list(parts), "fails": fails, "waits": waits}


class Gate:
    """Holds boards that wait until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()


def sources(gate: Gate | None = None, crash: Callable[[str], None] = lambda _: None) -> Any:
    """Who takes packages apart, reads them and puts the result together."""

    @knowledge_source(timeout=10)
    async def unpack(upload: Each[Upload], blobs: Blobs, boards: Boards) -> AsyncIterator[Child]:
        given = orjson.loads(await blobs.get(upload.sha256))
        for number, part in enumerate(given["parts"], 1):
            child = await boards.open(orjson.dumps(part), filename=f"part {number}.json")
            crash(f"opened {number}")
            yield child
            crash(f"yielded {number}")

    @knowledge_source(timeout=20)
    async def read(upload: Each[Upload], blobs: Blobs) -> Found:
        given = orjson.loads(await blobs.get(upload.sha256))
        if given["waits"] and gate is not None:
            await gate.open.wait()
        if given["fails"]:
            raise PermanentFailure(given["fails"])
        return Found(text=given["says"])

    @knowledge_source(required=True, timeout=10)
    async def whole(found: All[Found], children: All[Child]) -> Whole:
        if not found:
            raise PermanentFailure("nothing was found")
        assert all(child.status != "open" for child in children)
        return Whole(text=found[0].text, parts=tuple(f"{child.filename}: {child.status}" for child in children))

    return (unpack, read, whole)


def text(given: Any) -> str:
    """A package as it is submitted."""
    return orjson.dumps(given).decode()


THREE = package(package(says="a"), package(says="b"), package(says="c"), says="all")


async def below(service: Any, board: str) -> list[dict[str, Any]]:
    """The child boards of a board, as the listing shows them."""
    found: list[dict[str, Any]] = (await service.get("boards", parent=board))["items"]
    return found


async def test_a_parent_completes_after_its_children_and_accounts_for_them(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, sources()) as service:
        board = await service.submit(text(THREE))
        ended = await service.until(board)
        assert ended["status"] == "completed"
        children = await below(service, board)
        assert [child["filename"] for child in children] == ["part 1.json", "part 2.json", "part 3.json"]
        assert all(child["status"] == "completed" and child["ended"] <= ended["ended"] for child in children)
        assert {child["opened_by"] for child in children} == {board}
        assert [child["board"] for child in ended["children"]] == [child["id"] for child in children]
        account = ended["outcome"]["children"]
        assert (account["completed"], account["failed"], account["boards"]) == (3, 0, 3)
        lasted = sum(child["ended"] - child["created"] for child in children) / 1000
        assert account["wall_s"] == pytest.approx(lasted, abs=0.01)
        (made,) = (await service.get(f"boards/{board}/entries", level="whole"))["items"]
        assert made["value"]["parts"] == [f"part {n}.json: completed" for n in (1, 2, 3)]
        for id in (board, *(child["id"] for child in children)):
            await promises(service.service.store, id)
        top = await service.get("boards")
        assert [item["id"] for item in top["items"]] == [board]
        everyone = await service.get("boards", children="true", limit=3)
        more = await service.get("boards", children="true", limit=3, cursor=everyone["next_cursor"])
        listed = [item["id"] for item in (*everyone["items"], *more["items"])]
        assert (sorted(listed), more["next_cursor"]) == (sorted([board, *(child["id"] for child in children)]), None)
        first = await service.get("boards", parent=board, limit=2)
        rest = await service.get("boards", parent=board, limit=2, cursor=first["next_cursor"])
        assert [item["id"] for item in (*first["items"], *rest["items"])] == [child["id"] for child in children]
        assert (await service.client.get("/v1/boards?parent=0-" + "a" * 26)).status_code == 404
        assert (await service.client.get("/v1/boards?parent=x")).status_code == 400


async def test_a_failing_child_degrades_its_parent(redis_url: str, tmp_path: Path) -> None:
    given = package(package(fails="it is torn"), package(says="b"), says="all")
    async with live(redis_url, tmp_path, sources()) as service:
        board = await service.submit(text(given))
        ended = await service.until(board)
        assert ended["status"] == "completed"
        (step,) = ended["outcome"]["degraded"]
        assert (step["source"], step["binding"]) == ("unpack", "child/part-1.json")
        assert "nothing was found" in step["reason"]
        assert [child["status"] for child in ended["children"]] == ["failed", "completed"]
        forked = await service.client.post(f"/v1/boards/{board}/retry")
        again = await service.until(forked.json()["id"])
        assert [child["status"] for child in again["children"]] == ["failed", "completed"]
        before = [child["board"] for child in ended["children"]]
        after = [child["board"] for child in again["children"]]
        assert before[0] != after[0], "what failed was tried again"
        assert before[1] == after[1], "what completed was not"


async def test_cancelling_reaches_the_boards_below(redis_url: str, tmp_path: Path) -> None:
    gate = Gate()
    given = package(package(package(says="deep", waits=True), says="b", waits=True), package(says="c", waits=True))
    async with live(redis_url, tmp_path, sources(gate)) as service:
        board = await service.submit(text(given))

        async def opened() -> list[str] | None:
            first = [child["id"] for child in await below(service, board)]
            second = [child["id"] for id in first for child in await below(service, id)]
            return [*first, *second] if len(first) + len(second) == 3 else None

        ids = await until(opened)
        why = (await service.get(f"boards/{board}/why"))["reasons"]
        waiting = next(reason for reason in why if reason["source"] == "whole")
        assert set(ids[:2]) <= {word.removeprefix("board ") for _, names in waiting["waits_for"] for word in names}
        assert "child/part-1.json" in why[0]["reason"]
        await service.client.post(f"/v1/boards/{board}/cancel")
        for id in (board, *ids):
            assert (await service.until(id))["status"] == "cancelled", id
        assert (await service.board(ids[0]))["cancelled_by"] == f"parent:{board}"


async def test_at_its_deadline_a_parent_ends_its_children(redis_url: str, tmp_path: Path) -> None:
    given = package(package(says="late", waits=True), says="mine")
    async with live(redis_url, tmp_path, sources(Gate())) as service:
        board = await service.submit(text(given), deadline_s=1.0)
        ended = await service.until(board)
        assert (ended["status"], ended["outcome"]["partial"]) == ("completed", True)
        assert ended["outcome"]["children"]["open"] == 1
        (child,) = await below(service, board)
        assert (await service.until(child["id"]))["status"] == "cancelled"


async def test_a_child_cancelled_by_itself_does_not_hold_its_parent(redis_url: str, tmp_path: Path) -> None:
    given = package(package(says="late", waits=True), says="mine")
    async with live(redis_url, tmp_path, sources(Gate())) as service:
        board = await service.submit(text(given))
        (child,) = await until(lambda: below(service, board))
        await service.client.post(f"/v1/boards/{child['id']}/cancel")
        ended = await service.until(board)
        assert ended["status"] == "completed"
        assert "was cancelled" in ended["outcome"]["degraded"][0]["reason"]


@pytest.mark.parametrize("place", ["opened 2", "yielded 2"])
async def test_a_worker_lost_while_it_opens_boards(redis_url: str, tmp_path: Path, place: str) -> None:
    """Between making a child and recording it, and after: nothing is lost, nothing doubled."""
    crashes = [place]

    def crash(here: str) -> None:
        if here in crashes:
            crashes.remove(here)
            raise StorageUnavailable("the worker goes away without a word")

    async with live(redis_url, tmp_path, sources(crash=crash), lease_s=1) as service:
        board = await service.submit(text(THREE))
        ended = await service.until(board)
        assert not crashes
        assert (ended["status"], ended["outcome"]["children"]["completed"]) == ("completed", 3)
        assert len((await service.get("boards", children="true"))["items"]) == 4


class Cut:
    """Loses what boards tell each other, as a controller does that is killed between two steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, times: int = 100) -> None:
        self.left = times
        self.lost = 0
        whole = getattr(Family, method)

        async def cut(family: Family, *given: Any) -> None:
            if self.left:
                self.left -= 1
                self.lost += 1
                return
            await whole(family, *given)

        monkeypatch.setattr(Family, method, cut)


async def test_a_lost_word_to_the_parent_is_healed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Cut(monkeypatch, "_tell")
    async with live(redis_url, tmp_path, sources()) as service:
        board = await service.submit(text(THREE))
        ended = await service.until(board)
        assert (ended["status"], ended["outcome"]["children"]["completed"]) == ("completed", 3)
        assert cut.lost == 3


async def test_a_controller_lost_between_the_child_s_end_and_the_word_to_its_parent(
    redis_url: str, tmp_path: Path
) -> None:
    """The child has ended, the parent's entry says that it is open: another controller finds out."""
    gate = Gate()
    told = asyncio.Event()
    given = package(package(says="late", waits=True), says="mine")
    async with live(redis_url, tmp_path, sources(gate), lease_s=1) as first:
        board = await first.submit(text(given))
        (child,) = await until(lambda: below(first, board))
        whole = first.service.store.commit

        async def stopped(id: str, commit: Commit) -> Answer:
            if commit.body.get("told_by"):
                told.set()
                raise StorageUnavailable("this controller is no more")
            return await whole(id, commit)

        first.service.store.commit = stopped  # type: ignore[method-assign]
        gate.open.set()
        await told.wait()
        assert (await first.board(child["id"]))["status"] == "completed"
        assert (await first.board(board))["children"][0]["status"] == "open"
    async with live(redis_url, tmp_path, sources()) as second:
        ended = await second.until(board)
        assert (ended["status"], ended["children"][0]["status"]) == ("completed", "completed")
        await promises(second.service.store, board)


async def test_a_lost_cancellation_is_healed(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = package(package(says="late", waits=True), says="mine")
    async with live(redis_url, tmp_path, sources(Gate())) as service:
        board = await service.submit(text(given))
        (child,) = await until(lambda: below(service, board))
        cut = Cut(monkeypatch, "_cancel", times=1)
        await service.client.post(f"/v1/boards/{board}/cancel")
        assert (await service.until(child["id"]))["status"] == "cancelled"
        assert cut.lost == 1


async def test_a_child_that_nobody_came_to_record_ends(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(timeout=10)
    async def forgetful(upload: Each[Upload], boards: Boards) -> AsyncIterator[Child]:
        await boards.open(text(package(says="x", waits=True)).encode())
        raise PermanentFailure("it fell over")
        yield

    _, read, _ = sources(Gate())
    async with live(redis_url, tmp_path, (forgetful, read)) as service:
        board = await service.submit(text(package(says="mine")), hold="review")

        async def child() -> Any:
            return [item for item in (await service.get("boards", children="true"))["items"] if item["id"] != board]

        (found,) = await until(child)
        assert (await service.until(found["id"]))["status"] == "cancelled"
        assert (await service.board(board))["status"] == "open"


async def test_depth_is_limited(redis_url: str, tmp_path: Path) -> None:
    given: Any = package(says="0")
    for level in range(1, 5):
        given = package(given, says=str(level))
    async with live(redis_url, tmp_path, sources(), child_depth=2) as service:
        board = await service.submit(text(given))
        assert (await service.until(board))["status"] == "completed"
        everyone = (await service.get("boards", children="true"))["items"]
        assert sorted(item.get("depth", 0) for item in everyone) == [0, 1, 2]
        deepest = next(item for item in everyone if item.get("depth") == 2)
        assert "nested 2 deep" in deepest["outcome"]["degraded"][0]["reason"]


async def test_a_document_that_holds_itself_ends(redis_url: str, tmp_path: Path) -> None:
    """As an archive does whose member is the archive; here every document takes itself for its part, or an ancestor."""

    @knowledge_source(timeout=10)
    async def mirror(upload: Each[Upload], blobs: Blobs, boards: Boards) -> AsyncIterator[Child]:
        data = await blobs.get(upload.sha256)
        other = {b"one": b"two", b"two": b"one"}.get(data, data)
        yield await boards.open(other)

    @knowledge_source(timeout=10)
    async def read(upload: Each[Upload], blobs: Blobs) -> Found:
        return Found(text=(await blobs.get(upload.sha256)).decode())

    async with live(redis_url, tmp_path, (mirror, read), child_depth=50) as service:
        for given, boards in (("self", 1), ("one", 2)):
            before = len((await service.get("boards", children="true"))["items"])
            ended = await service.until(await service.submit(given))
            assert ended["status"] == "completed"
            everyone = (await service.get("boards", children="true"))["items"]
            assert len(everyone) == before + boards
            assert any("holds itself" in step["reason"] for step in everyone[0]["outcome"]["degraded"])


async def test_numbers_are_limited(redis_url: str, tmp_path: Path) -> None:
    pairs = [package(package(says=f"{n}a"), package(says=f"{n}b"), says=str(n)) for n in range(3)]
    async with live(redis_url, tmp_path, sources(), child_boards=3, child_total=7) as service:
        many = await service.until(await service.submit(text(package(*(package(says=str(n)) for n in range(5))))))
        assert many["outcome"]["children"]["completed"] == 3
        assert "has 3 child boards, which is the limit" in many["outcome"]["degraded"][0]["reason"]
        total = await service.until(await service.submit(text(package(*pairs))))
        assert total["outcome"]["children"]["boards"] == 7
        reasons = [
            step["reason"]
            for child in await below(service, total["id"])
            for step in child["outcome"]["degraded"]
            if step["binding"] == "upload/original"
        ]
        assert any("7 boards below the one submitted" in reason for reason in reasons)


async def test_children_go_with_their_parent(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, sources(), retention_s=1.0) as service:
        board = await service.submit(text(package(package(package(says="deep"), says="b"), says="all")))

        async def gone() -> bool:
            return (await service.client.get(f"/v1/boards/{board}")).status_code == 404

        await until(gone, 20)

        async def empty() -> bool:
            return not (await service.get("boards", children="true"))["items"]

        await until(empty, 20)


async def test_an_open_parent_keeps_its_children(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, sources(), retention_s=0.3) as service:
        board = await service.submit(text(package(package(says="b"), says="all")), hold="review")
        await service.until_held(board)
        (child,) = await below(service, board)
        store = service.service.store
        assert child["status"] == "completed"

        async def past() -> bool:
            return await store.now() > child["ended"] + 1500

        await until(past)
        assert await below(service, board), "its own time is over, its parent's is not"
        await service.client.post(f"/v1/boards/{board}/approve")

        async def empty() -> bool:
            return not (await service.get("boards", children="true"))["items"]

        await until(empty, 20)


async def test_nobody_waits_for_a_board_that_is_not_below(redis_url: str, tmp_path: Path) -> None:
    """A source may write what it likes into a child entry: another's board, its own, nonsense, a book."""
    other = ""
    made: list[str] = []

    @knowledge_source(timeout=10)
    async def forger(upload: Each[Upload], blobs: Blobs, boards: Boards) -> AsyncIterator[Child]:
        if await blobs.get(upload.sha256) != b"forge":
            return
        mine = await boards.open(text(package(says="x", waits=True)).encode())
        made.append(mine.board)
        forged = {"own": "0-" + "a" * 26, "others": other, "nonsense": "x|y"}
        yield mine
        for name, board in forged.items():
            yield Child(name=name, board=board, sha256="", size=0)
        yield Child(name="book", board=other, sha256="", size=0, reason="x" * 300_000)

    @knowledge_source(timeout=10)
    async def reads(upload: Each[Upload], blobs: Blobs) -> Found:
        data = await blobs.get(upload.sha256)
        if data.startswith(b"{"):
            await gate.open.wait()
        return Found(text="x")

    gate = Gate()
    async with live(redis_url, tmp_path, (forger, reads)) as service:
        other = await service.submit(text(package(says="theirs", waits=True)))
        board = await service.submit("forge")

        async def told() -> list[str] | None:
            found = {child["name"]: child["status"] for child in (await service.board(board)).get("children", ())}
            failed = [name for name, status in found.items() if status == "failed"]
            return failed if len(failed) == 3 else None

        assert sorted(await until(told)) == ["nonsense", "others", "own"]
        assert [child["id"] for child in await below(service, board)] == made
        await service.client.post(f"/v1/boards/{board}/cancel")
        assert (await service.until(made[0]))["status"] == "cancelled"
        assert (await service.board(other))["status"] == "open"
        gate.open.set()


async def test_people_cannot_write_child_entries(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, sources(Gate())) as service:
        board = await service.submit(text(package(package(says="x", waits=True))))
        await until(lambda: below(service, board))
        path = f"/v1/boards/{board}/entries/child/part-1.json"
        answer = await service.client.get(path)
        headers = {"If-Match": answer.headers["ETag"]}
        assert (await service.client.put(path, json=answer.json()["value"], headers=headers)).status_code == 422
        assert (await service.client.delete(path, headers=headers)).status_code == 422


async def test_a_third_party_s_source_opens_boards_from_its_limited_process(redis_url: str, tmp_path: Path) -> None:
    async with live(redis_url, tmp_path, (guest("lines"), guest("reads"))) as service:
        board = await service.submit("first\nlarge\n../up\nlast")
        ended = await service.until(board)
        assert ended["status"] == "completed"
        assert [(child["name"], child["status"]) for child in ended["children"]] == [
            ("line-1.txt", "completed"), ("line-2.txt", "completed")
        ]  # fmt: skip
        assert "cannot be called '../up'" in ended["outcome"]["degraded"][0]["reason"]
        (read,) = (await service.get(f"boards/{ended['children'][1]['board']}/entries", level="line"))["items"]
        assert read["value"] == {"text": "large", "size": 9_000_000}
