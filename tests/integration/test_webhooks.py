"""Webhooks through the public door: made over HTTP, delivered to a real receiver, verified with the library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from controller.http.webhook_models import WebhookMessage
from controller.webhooks.records import EVENTS, TEST
from tests.fleet import until
from tests.integration.doors import V1, Door, door, failing_years, lines
from tests.receiver import Receiver, Reply, receiving

PACE = 0.001
"""Five seconds are five milliseconds, five minutes are 0.3 s."""


@dataclass
class Hooked:
    """A service, its door and a receiver."""

    door: Door
    receiver: Receiver

    async def hook(self, path: str = "/hook", **more: Any) -> dict[str, Any]:
        """A webhook for the receiver."""
        answer = await self.door.client.post("/v1/webhooks", json={"url": self.receiver.url(path), **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def deliveries(self, id: str) -> list[dict[str, Any]]:
        """Newest first."""
        return list((await self.door.get(f"/v1/webhooks/{id}/deliveries"))["items"])

    async def delivery(self, id: str, status: str = "delivered", attempts: int = 1) -> dict[str, Any]:
        """The newest one, once it has come to this."""

        async def look() -> dict[str, Any] | None:
            found = await self.deliveries(id)
            good = found and found[0]["status"] == status and len(found[0]["attempts"]) >= attempts
            return found[0] if good else None

        found: dict[str, Any] = await until(look)
        return found

    async def came(self, path: str = "/hook", count: int = 1) -> list[Any]:
        """What the receiver got, once it is so much."""

        async def look() -> bool:
            return len(self.receiver.at(path)) >= count

        await until(look)
        return list(self.receiver.at(path))

    async def post(self, path: str, body: Any = None, status: int = 202) -> Any:
        """JSON that must come with this status."""
        answer = await self.door.client.post(path, **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def hooked(url: str, data: Path, **more: Any) -> AsyncIterator[Hooked]:
    """A whole service, allowed to reach this machine."""
    settings = {"egress_allow": ("127.0.0.0/8",), "webhook_pace": PACE, "webhook_timeout_s": 1, "poll_s": 0.1, **more}
    async with receiving() as receiver, door(url, data, *V1, roles="api controller worker", **settings) as served:
        yield Hooked(served, receiver)


@pytest.fixture
async def hooks(redis_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    async with hooked(redis_url, tmp_path) as found:
        yield found


class TestDelivery:
    async def test_the_end_of_a_board_is_told_once_and_verifies(self, hooks: Hooked) -> None:
        hook = await hooks.hook(events=["board.completed", "board.created"])
        assert hook["secret"].startswith("whsec_")
        board = await hooks.door.submit()
        ended = await hooks.door.ended(board)
        await hooks.came(count=2)
        (told,) = hooks.receiver.at(type="board.completed")
        message = told.verified(hook["secret"])
        assert message["data"] == {
            "board": board, "status": "completed", "revision": ended["revision"], "slug": ended["outcome"]["slug"],
            "partial": False, "links": ended["links"],
        }  # fmt: skip
        assert len(told.body) < 20_000 and message["timestamp"].endswith("Z")
        (began,) = hooks.receiver.at(type="board.created")
        assert began.verified(hook["secret"])["data"]["board"] == board
        assert began.id != told.id
        found = {each["id"]: each for each in await until(lambda: settled(hooks, hook["id"], 2))}
        assert found[told.id]["board"] == board
        (attempt,) = found[told.id]["attempts"]
        assert (attempt["status"], attempt["error"]) == (204, None)

    async def test_only_what_is_listened_for_is_told(self, hooks: Hooked) -> None:
        await hooks.hook("/failed", events=["board.failed"])
        await hooks.hook("/ended")
        off = await hooks.hook("/off")
        await hooks.door.client.patch(off["links"]["self"], json={"enabled": False})
        await hooks.door.ended(await hooks.door.submit())
        (told,) = await hooks.came("/ended")
        assert told.json["type"] == "board.completed"
        assert not hooks.receiver.at("/failed") and not hooks.receiver.at("/off")

    async def test_it_is_tried_again_under_the_same_id_until_it_is_taken(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        away = Reply(302, (("location", hooks.receiver.url("/elsewhere")),))
        hooks.receiver.replies["/hook"].extend([Reply(500), away, Reply(hang=True), Reply(200, body=200_000)])
        await hooks.door.submit()
        done = await hooks.delivery(hook["id"], attempts=4)
        assert [(each["status"], each["error"]) for each in done["attempts"]] == [
            (500, "status"), (302, "redirect"), (None, "timeout"), (200, None),
        ]  # fmt: skip
        assert done["attempts"][2]["ms"] >= 900
        got = hooks.receiver.at()
        assert {one.id for one in got} == {done["id"]} and len({one.body for one in got}) == 1
        for one in got:
            one.verified(hook["secret"])
        assert int(got[-1].headers["webhook-timestamp"]) > int(got[0].headers["webhook-timestamp"])
        assert not hooks.receiver.at("/elsewhere")
        shown = await hooks.door.get(hook["links"]["self"])
        assert shown["last_delivered"] and "failing_since" not in shown

    async def test_gone_disables(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        hooks.receiver.always["/hook"] = Reply(410)
        await hooks.door.submit()
        await hooks.delivery(hook["id"], "failed")

        async def look() -> dict[str, Any] | None:
            found: dict[str, Any] = await hooks.door.get(hook["links"]["self"])
            return None if found["enabled"] else found

        assert "410" in (await until(look))["reason"]
        await hooks.door.ended(await hooks.door.submit())
        assert len(await hooks.deliveries(hook["id"])) == len(hooks.receiver.got) == 1

    async def test_retry_after_is_waited_for(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        hooks.receiver.replies["/hook"].append(Reply(503, (("retry-after", "2"),)))
        await hooks.door.submit()
        waiting = await hooks.delivery(hook["id"], "pending")
        assert waiting["next_attempt"] - waiting["attempts"][0]["at"] >= 2000
        done = await hooks.delivery(hook["id"])
        assert done["attempts"][1]["at"] - done["attempts"][0]["at"] >= 2000

    async def test_what_nobody_ever_takes_is_given_up_shown_and_can_be_asked_for_again(
        self, redis_url: str, tmp_path: Path
    ) -> None:
        async with hooked(redis_url, tmp_path, webhook_pace=1e-6) as hooks:
            hook = await hooks.hook()
            hooks.receiver.always["/hook"] = Reply(500)
            before = (await hooks.door.board(await hooks.door.submit()))["created"]
            lost = await hooks.delivery(hook["id"], "failed", 10)
            assert len(lost["attempts"]) == 10 and lost["next_attempt"] is None

            async def disabled() -> dict[str, Any] | None:
                found: dict[str, Any] = await hooks.door.get(hook["links"]["self"])
                return None if found["enabled"] else found

            assert "nothing could be delivered since" in (await until(disabled))["reason"]
            hooks.receiver.always.clear()
            again = await hooks.door.client.patch(hook["links"]["self"], json={"enabled": True})
            assert again.json()["enabled"] and "reason" not in again.json()
            path = f"/v1/webhooks/{hook['id']}/redeliver"
            assert await hooks.post(path, {"since": before}) == {"redelivered": 1}
            done = await hooks.delivery(hook["id"], "delivered", 11)
            assert done["id"] == lost["id"]
            assert await hooks.post(path, {"since": before}) == {"redelivered": 0}
            assert await hooks.post(path, {"delivery": done["id"]}) == {"redelivered": 1}
            await hooks.came(count=12)

    async def test_one_slow_receiver_holds_up_no_other(self, redis_url: str, tmp_path: Path) -> None:
        async with hooked(redis_url, tmp_path, webhook_timeout_s=30) as hooks:
            await hooks.hook("/slow", events=["board.created"])
            await hooks.hook("/quick", events=["board.created"])
            hooks.receiver.always["/slow"] = Reply(hang=True)
            for _ in range(10):
                await hooks.door.submit()
            await hooks.came("/quick", 10)
            assert len(hooks.receiver.at("/slow")) == 4, "as many at a time as one receiver gets"


async def settled(hooks: Hooked, id: str, count: int) -> list[dict[str, Any]] | None:
    """The deliveries, once so many were made."""
    found = await hooks.deliveries(id)
    return found if sum(each["status"] == "delivered" for each in found) == count else None


BLOCKED = (
    "https://169.254.169.254/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://2130706433/", "https://0x7f.1/",
    "https://me:you@example.com/", "file:///etc/passwd", "gopher://example.com/",
)  # fmt: skip
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"secret": "whsec_c2hvcnQ="}, "validation-error", "/secret"),
    ({"secret": "x" * 40}, "validation-error", "/secret"),
    ({"secret": ""}, "validation-error", "/secret"),
    ({"events": ["board.exploded"]}, "validation-error", "/events/0"),
    ({"enabled": True}, "validation-error", "/enabled"),
    ({"url": 7}, "validation-error", "/url"),
    *(({"url": url}, "url-not-allowed", "") for url in BLOCKED),
]


class TestDoor:
    async def test_a_webhook_is_made_changed_and_deleted(self, hooks: Hooked) -> None:
        client = hooks.door.client
        made = await client.post("/v1/webhooks", json={"url": hooks.receiver.url(), "description": "Ours"})
        assert made.headers["location"] == made.json()["links"]["self"]
        assert made.json()["events"] == ["board.completed", "board.failed", "board.cancelled"]
        secret = made.json()["secret"]
        twice = await client.post("/v1/webhooks", json={"url": hooks.receiver.url()})
        assert (twice.status_code, twice.json()["type"].rpartition("/")[2]) == (409, "webhook-exists")
        other = await hooks.hook("/other")
        moved = await client.patch(other["links"]["self"], json={"url": hooks.receiver.url()})
        assert moved.status_code == 409
        shown = await client.patch(
            made.headers["location"], json={"url": hooks.receiver.url("/new"), "events": ["board.failed"]}
        )
        assert (shown.json()["url"], shown.json()["events"]) == (hooks.receiver.url("/new"), ["board.failed"])
        listed = await client.get("/v1/webhooks")
        assert [each["id"] for each in listed.json()["items"]] == [made.json()["id"], other["id"]]
        assert secret not in listed.text and secret not in shown.text
        assert (await client.delete(made.headers["location"])).status_code == 204
        for method in ("GET", "DELETE"):
            assert (await client.request(method, made.headers["location"])).status_code == 404
        assert (await client.get(f"{made.headers['location']}/deliveries")).status_code == 404

    async def test_what_cannot_be_is_refused(self, hooks: Hooked) -> None:
        for body, slug, pointer in REFUSED:
            answer = await hooks.door.client.post("/v1/webhooks", json={"url": "https://example.com/", **body})
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, slug), body
            if pointer:
                assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert (await hooks.door.get("/v1/webhooks"))["items"] == []

    async def test_there_may_be_fifty(self, hooks: Hooked) -> None:
        made = [await hooks.hook(f"/{number}") for number in range(50)]
        full = await hooks.door.client.post("/v1/webhooks", json={"url": hooks.receiver.url("/more")})
        assert (full.status_code, full.json()["type"].rpartition("/")[2]) == (409, "too-many-webhooks")
        await hooks.door.client.delete(made[0]["links"]["self"])
        await hooks.hook("/more")

    async def test_a_test_is_sent_once_also_to_what_is_disabled(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        await hooks.door.client.patch(hook["links"]["self"], json={"enabled": False})
        hooks.receiver.always["/hook"] = Reply(500)
        asked = await hooks.door.client.post(f"{hook['links']['self']}/test")
        assert asked.status_code == 202
        done = await hooks.delivery(hook["id"], "failed")
        assert asked.headers["location"].endswith(done["id"])
        assert await hooks.door.get(asked.headers["location"]) == done
        (told,) = hooks.receiver.got
        assert told.verified(hook["secret"])["type"] == "webhook.test"
        assert (await hooks.door.get(hook["links"]["self"])).get("failing_since") is None

    async def test_two_secrets_sign_while_one_is_changed(self, hooks: Hooked) -> None:
        given = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
        hook = await hooks.hook(secret=given)
        assert hook["secret"] == given
        path = hook["links"]["self"]
        turned = await hooks.post(f"{path}/rotate", status=200)
        assert turned["secret"] != given and turned["previous_until"] > turned["changed"]
        await hooks.post(f"{path}/test")
        (first,) = await hooks.came()
        assert len(first.headers["webhook-signature"].split()) == 2
        assert first.verified(given) == first.verified(turned["secret"])
        last = await hooks.post(f"{path}/rotate", {"overlap_s": 0}, status=200)
        await hooks.post(f"{path}/test")
        second = (await hooks.came(count=2))[1]
        assert second.verified(last["secret"]) and len(second.headers["webhook-signature"].split()) == 1

    async def test_deliveries_come_in_pages(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        made = [(await hooks.post(f"{hook['links']['self']}/test"))["id"] for _ in range(5)]
        found, cursor = [], ""
        while True:
            page = await hooks.door.get(
                f"/v1/webhooks/{hook['id']}/deliveries", limit=2, **({"cursor": cursor} if cursor else {})
            )
            found += [each["id"] for each in page["items"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert sorted(found) == sorted(made) and len(found) == 5
        for odd in ("x", "msg_" + "a" * 26):
            answer = await hooks.door.client.get(f"/v1/webhooks/{hook['id']}/deliveries", params={"cursor": odd})
            assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")

    async def test_the_openapi_document_says_what_is_sent(self, hooks: Hooked) -> None:
        document = await hooks.door.get("/openapi.json")
        assert document["webhooks"].keys() == {*EVENTS, TEST}
        hook = await hooks.hook(events=list(EVENTS))
        await hooks.door.submit()
        for told in await hooks.came(count=2):
            WebhookMessage.model_validate(told.verified(hook["secret"]))
            named = {each["name"] for each in document["webhooks"][told.json["type"]]["post"]["parameters"]}
            assert named <= told.headers.keys()
        shown = document["components"]["schemas"]["WebhookModel"]["properties"]
        assert hook.keys() <= shown.keys()

    async def test_what_is_not_there_is_answered_alike(self, hooks: Hooked) -> None:
        hook = await hooks.hook()
        other = "/v1/webhooks/wh_" + "a" * 26
        answers = [
            await hooks.door.client.get(other),
            await hooks.door.client.get("/v1/webhooks/..%2f..%00"),
            await hooks.door.client.get("/v1/webhooks/callbacks"),
            await hooks.door.client.post(f"{other}/test"),
            await hooks.door.client.post(f"{hook['links']['self']}/redeliver", json={"delivery": "msg_" + "a" * 26}),
            await hooks.door.client.delete("/v1/webhooks/callbacks"),
        ]
        bodies = {answer.text.replace(answer.headers["x-request-id"], "") for answer in answers}
        assert len(bodies) == 1 and {answer.status_code for answer in answers} == {404}
        both = await hooks.door.client.post(f"{hook['links']['self']}/redeliver", json={})
        assert both.status_code == 422


class TestCallbacks:
    async def test_one_board_is_told_of_where_it_asked(self, hooks: Hooked) -> None:
        asked = {"text": "one of 2024", "callback": hooks.receiver.url("/only")}
        without = await hooks.door.client.post("/v1/documents", json=asked)
        assert without.status_code == 422
        assert without.json()["errors"][0]["pointer"] == "/callback"
        secret = (await hooks.post("/v1/webhooks/callbacks/rotate", status=200))["secret"]
        refused = await hooks.door.client.post(
            "/v1/documents", json={"text": "x", "callback": "https://169.254.169.254/"}
        )
        assert refused.json()["type"].endswith("/url-not-allowed")
        board = await hooks.door.submit(callback=hooks.receiver.url("/only"))
        await hooks.door.ended(await hooks.door.submit())
        (told,) = await hooks.came("/only")
        assert told.verified(secret)["data"]["board"] == board
        (kept,) = await hooks.deliveries("callbacks")
        assert (kept["board"], kept["url"]) == (board, hooks.receiver.url("/only"))
        assert (await hooks.door.get("/v1/webhooks"))["items"] == []

    async def test_a_form_may_say_it_too(self, hooks: Hooked) -> None:
        await hooks.post("/v1/webhooks/callbacks/rotate", status=200)
        answer = await hooks.door.client.post(
            "/v1/documents",
            files={"file": ("a.txt", b"one of 2024", "text/plain")},
            data={"callback": hooks.receiver.url("/form")},
        )
        assert answer.status_code == 202
        await hooks.came("/form")


class TestSecrets:
    async def test_no_secret_lies_about(
        self, hooks: Hooked, redis_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hook = await hooks.hook()
        board = await hooks.door.submit()
        await hooks.delivery(hook["id"])
        turned = await hooks.post(f"{hook['links']['self']}/rotate", status=200)
        core = [secret.removeprefix("whsec_").encode() for secret in (hook["secret"], turned["secret"])]
        seen = [(await hooks.door.client.get(path)).content for path in (
            "/v1/webhooks", hook["links"]["self"], f"/v1/webhooks/{hook['id']}/deliveries", f"/v1/boards/{board}/log",
            "/v1/capabilities",
        )]  # fmt: skip
        async with Redis.from_url(redis_url) as raw:
            async for key in raw.scan_iter():
                with_ttl = await raw.dump(key)
                seen += [key, with_ttl or b""]
        seen.append(repr(hooks.door.service.webhooks.__dict__).encode())
        out = capfd.readouterr()
        seen += [out.out.encode(), out.err.encode()]
        for text in seen:
            assert not any(secret in text for secret in core)
        key = tmp_path / "secret.key"
        assert key.stat().st_mode & 0o777 == 0o600


async def test_failed_boards_are_told_of(redis_url: str, tmp_path: Path) -> None:
    async with receiving() as receiver:
        settings: dict[str, Any] = {"egress_allow": ("127.0.0.0/8",), "webhook_pace": PACE}
        required = replace(failing_years, required=True)
        async with door(redis_url, tmp_path, lines, required, roles="api controller worker", **settings) as served:
            hooks = Hooked(served, receiver)
            await hooks.hook()
            board = await served.submit()
            (told,) = await hooks.came()
            ended = await served.ended(board)
            assert told.json["type"] == "board.failed"
            assert told.json["data"]["slug"] == ended["outcome"]["slug"] == "source-failed"


async def test_boards_of_nobody_who_listens_schedule_nothing(hooks: Hooked, redis_url: str) -> None:
    await hooks.door.ended(await hooks.door.submit())
    await asyncio.sleep(0)
    async with Redis.from_url(redis_url, decode_responses=True) as raw:
        for partition in range(16):
            names = await raw.zrange(f"bb:{{{partition}}}:due", 0, -1)
            assert not any("announce" in name for name in names)
        assert [key async for key in raw.scan_iter("bb:{hooks}*")] == []
