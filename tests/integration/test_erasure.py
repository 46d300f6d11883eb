"""DELETE /v1/boards/{id}: nothing of a board is left, whatever it was about to do."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from blackboard import Each, Upload, knowledge_source
from blackboard.entries import Answer, Commit
from blackboard.errors import StorageUnavailable
from blackboard.registry import find_sources
from blackboard.store import RedisStore
from tests import models
from tests.integration.doors import Year, door, lines, worker
from tests.integration.live import live
from tests.integration.serving import serving
from tests.integration.test_children import Gate, package, sources, text
from tests.making import until
from tests.traces import holding, kept_in, kept_on, rewritten

CANARY = "Quetzalbird"
NOTES = f"Notes of the {CANARY} meeting.\n\nThe {CANARY} project costs 1,200.00 EUR. It takes three days.\n"


def mail() -> bytes:
    """A message with an attachment; both hold the canary, and so do the names."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "ann@example.org", "bob@example.org", f"The {CANARY} offer"
    made["Date"], made["Message-ID"] = "Mon, 01 Jan 2024 10:00:00 +0000", "<1@example.org>"
    made.set_content(f"Dear Bob,\n\nplease find the {CANARY} notes attached. They are valid for thirty days.\n")
    made.add_attachment(NOTES.encode(), maintype="text", subtype="plain", filename=f"{CANARY}.txt")
    return made.as_bytes()


async def test_no_word_of_it_is_left(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with models.serving(models.Settings()) as server:
        named = {"base_url": server.url, "api_key": "sk-test", "names": "claude-haiku-5-5", "backoff_s": "0.01"}
        for name, value in named.items():
            monkeypatch.setenv(f"BLACKBOARD_MODEL_{name.upper()}", value)
        async with live(redis_url, tmp_path, find_sources()[0]) as service:
            board = await service.submit(mail(), f"{CANARY}.eml", models="always")
            ended = await service.until(board)
            assert ended["status"] == "completed", ended
            (child,) = ended["children"]
            held = holding(await kept_on(redis_url), CANARY)
            for part in (":answer:", ":log", ":values", ":head"):
                assert any(part in key for key in held), f"what is looked for is found in {part}"
            before = kept_in(tmp_path)
            assert any(name.startswith("blobs/answers/kept/") for name in holding(before, CANARY))
            calls = await service.get(f"boards/{board}/calls")
            assert calls["totals"]["calls"] > 0

            answer = await service.client.delete(f"/v1/boards/{board}")
            assert (answer.status_code, answer.content) == (204, b"")
            for id in (board, child["board"]):
                for path in ("", "/report", "/log", "/events", "/entries", "/calls"):
                    assert (await service.client.get(f"/v1/boards/{id}{path}")).status_code == 404
            assert (await service.client.delete(f"/v1/boards/{board}")).status_code == 404
            assert (await service.get("boards", children="true"))["items"] == []

            kept = await kept_on(redis_url)
            assert holding(kept, CANARY) == []
            assert holding(kept_in(tmp_path), CANARY) == []
            # What names the boards: figures, and that something changed once.
            left = {name for id in (board, child["board"]) for name in holding(kept, id)}
            assert {name.partition("}:")[2].partition(":")[0] for name in left} == {
                "activity", "ledger", "sums", "board"
            }  # fmt: skip
            assert not any(calls["items"][0]["request"].encode() in data for data in kept.values())
            day = await service.get("spending")
            assert day["totals"]["calls"] == calls["totals"]["calls"] + _calls_of(day, child["board"])
        assert holding(await rewritten(redis_url), CANARY) == []


def _calls_of(day: dict[str, Any], board: str) -> int:
    return sum(row["calls"] for row in day["by"]["board"] if row["board"] == board)


class TestWhatRuns:
    async def test_is_fenced_and_its_watchers_see_an_end(self, redis_url: str, tmp_path: Path) -> None:
        started, go, tried = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @knowledge_source(required=True)
        async def slow(upload: Each[Upload]) -> Year:
            """Goes on whatever it is told, and tries to contribute."""
            started.set()
            try:
                await go.wait()
            except asyncio.CancelledError:
                await go.wait()
            finally:
                tried.set()
            return Year(number=1, text=CANARY * 40_000, by="slow")

        async with (
            door(redis_url, tmp_path, slow) as service,
            worker(redis_url, tmp_path, slow),
        ):
            board = await service.submit(NOTES)
            await started.wait()
            watching = asyncio.create_task(service.client.get(f"/v1/boards/{board}/events"))
            await until(lambda: _is(service.service.feed.watchers == 1))
            assert (await service.client.delete(f"/v1/boards/{board}")).status_code == 204
            seen = await watching
            assert seen.status_code == 200
            assert (await service.client.get(f"/v1/boards/{board}/events")).status_code == 404
            go.set()
            await tried.wait()
        kept = await kept_on(redis_url)
        assert holding(kept, CANARY) == []
        assert {name.partition("}:")[2] for name in holding(kept, board)} <= {"activity", f"board:{board}"}
        assert holding(kept_in(tmp_path), CANARY) == [], "what came too late was not kept either"

    async def test_wake_ups_go_where_nobody_comes_for_them(self, redis_url: str, tmp_path: Path) -> None:
        async with door(redis_url, tmp_path, lines) as service:
            board, other = await service.submit(NOTES), await service.submit()
            queued = lambda: _queued(redis_url)  # noqa: E731
            await until(lambda: _both(queued(), board, other))
            assert (await service.client.delete(f"/v1/boards/{board}")).status_code == 204
            assert [name for name in await queued() if board in name] == []
            assert [name for name in await queued() if other in name] != []


async def _is(value: bool) -> bool:
    return value


async def _queued(url: str) -> list[str]:
    return [data.decode(errors="replace") for name, data in (await kept_on(url)).items() if name.startswith("arq:")]


async def _both(queued: Any, board: str, other: str) -> bool:
    found = " ".join(await queued)
    return board in found and other in found


class TestHalfWay:
    async def test_it_may_be_asked_again(self, redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
        async with serving(redis_store) as served:
            board = await served.submit(NOTES)
            whole, calls = redis_store.erase, []

            async def once(id: str) -> bool:
                calls.append(id)
                if len(calls) == 1:
                    raise StorageUnavailable("gone for a moment")
                return await whole(id)

            monkeypatch.setattr(redis_store, "erase", once)
            answer = await served.client.delete(f"/v1/boards/{board}")
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "storage-unavailable")
            assert (await served.client.get(f"/v1/boards/{board}")).json()["status"] == "cancelled"
            assert (await served.client.delete(f"/v1/boards/{board}")).status_code == 204
            assert (await served.client.get(f"/v1/boards/{board}")).status_code == 404

    async def test_bytes_that_another_board_refers_to_stay(self, redis_store: RedisStore) -> None:
        async with serving(redis_store) as served:
            one, two = [await served.submit(NOTES) for _ in range(2)]
            upload = (await served.client.get(f"/v1/boards/{one}/entries/upload/original")).json()["value"]
            assert (await served.client.delete(f"/v1/boards/{one}")).status_code == 204
            assert await redis_store.blobs.get(upload["sha256"]) == NOTES.encode()
            assert (await served.client.delete(f"/v1/boards/{two}")).status_code == 204
            assert not await redis_store.blobs.has(upload["sha256"])
            assert await served.submit(NOTES), "the same may come again"

    async def test_unknown_and_malformed_ids_are_not_found(self, redis_store: RedisStore) -> None:
        async with serving(redis_store) as served:
            for id in ("0-" + "a" * 26, "x", "..%2f..", "a" * 300):
                assert (await served.client.delete(f"/v1/boards/{id}")).status_code == 404
            assert (await served.client.delete(f"/v1/boards/{await served.submit()}?x=1")).status_code == 400


class TestBoardsBelow:
    async def test_go_with_it_while_they_are_at_work(self, redis_url: str, tmp_path: Path) -> None:
        gate = Gate()
        waiting = package(says=CANARY, waits=True)
        tree = package(package(waiting, waiting, says=CANARY), waiting, says=CANARY)
        async with live(redis_url, tmp_path, sources(gate)) as service:
            board, other = await service.submit(text(tree)), await service.submit(text(package(says="stays")))

            async def opened() -> bool:
                return len((await service.get("boards", children="true"))["items"]) == 6

            await until(opened)
            assert (await service.client.delete(f"/v1/boards/{board}")).status_code == 204
            gate.open.set()
            await service.until(other)
            assert [item["id"] for item in (await service.get("boards", children="true"))["items"]] == [other]
        assert holding(await kept_on(redis_url), CANARY) == []
        assert holding(kept_in(tmp_path), CANARY) == []

    @pytest.mark.long
    async def test_one_of_them_goes_alone(self, redis_url: str, tmp_path: Path) -> None:
        gate = Gate()
        tree = package(package(package(says=CANARY, waits=True), says=CANARY, waits=True), says="the whole")
        async with live(redis_url, tmp_path, sources(gate)) as service:
            board = await service.submit(text(tree))
            below = lambda: service.get("boards", children="true")  # noqa: E731
            await until(lambda: _counts(below(), 3))
            (child,) = [each for each in (await below())["items"] if each.get("opened_by") == board]
            assert (await service.client.delete(f"/v1/boards/{child['id']}")).status_code == 204
            ended = await service.until(board)
            assert ended["status"] == "completed", ended
            (part,) = ended["children"]
            assert part["reason"] in ("erased", "its board is gone"), "whoever looked when"
            assert len((await below())["items"]) == 1

    @pytest.mark.parametrize(
        "late", [pytest.param("before its board is made", marks=pytest.mark.long), "after it died making it"]
    )
    async def test_one_that_is_being_opened_undoes_itself(
        self, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str
    ) -> None:
        async with live(redis_url, tmp_path, sources()) as service:
            store, erased = service.service.store, asyncio.Event()
            commit = store.commit

            async def committing(board: str, asked: Commit) -> Answer:
                if asked.create and "opened_by" in asked.head:
                    gone = await service.client.delete(f"/v1/boards/{asked.head['opened_by']}")
                    assert gone.status_code == 204
                    made = await commit(board, asked)
                    erased.set()
                    if late.startswith("after"):
                        raise StorageUnavailable("here the worker died")
                    return made
                return await commit(board, asked)

            monkeypatch.setattr(store, "commit", committing)
            await service.submit(text(package(package(says=CANARY), says=CANARY)))
            await erased.wait()

            async def nothing() -> bool:
                return not (await service.get("boards", children="true"))["items"]

            await until(nothing)
        assert holding(await kept_on(redis_url), CANARY) == []
        assert holding(kept_in(tmp_path), CANARY) == []


async def _counts(listed: Any, count: int) -> bool:
    return len((await listed)["items"]) == count


async def test_the_request_that_made_it_is_forgotten(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, lines) as service:
        asked = {"headers": {"Idempotency-Key": '"one"'}, "json": {"text": NOTES}}
        first = await service.client.post("/v1/documents", **asked)
        board = first.json()["id"]
        assert any(":once:" in name for name in holding(await kept_on(redis_url), board))
        assert (await service.client.delete(f"/v1/boards/{board}")).status_code == 204
        assert not any(":once:" in name for name in await kept_on(redis_url))
        again = await service.client.post("/v1/documents", **asked)
        assert again.status_code == 202
        assert again.json()["id"] != board
