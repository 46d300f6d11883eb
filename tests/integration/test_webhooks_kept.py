"""What is to be announced and delivered is kept: over lost processes, blocked addresses, tenants, changes of the key."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from blackboard import keys
from blackboard.egress import Egress
from blackboard.embedded import Server
from blackboard.errors import StorageUnavailable, Unauthorized
from blackboard.ports import Due, Store
from blackboard.store import RedisStore
from controller.access import Admitted, Caller, Scope
from controller.loop import Controller
from controller.queue import Queue
from controller.sealing import Sealer, SecretUnreadable
from controller.settings import Settings
from controller.webhooks.announcer import Announcer
from controller.webhooks.courier import EgressCourier, open_client
from controller.webhooks.deliverer import PER_TENANT, Deliverer
from controller.webhooks.interest import Interest
from controller.webhooks.records import Webhook, lane_of
from controller.webhooks.registry import Webhooks, reseal
from controller.webhooks.storage import HookStore
from tests.fleet import until
from tests.integration.doors import V1, door
from tests.listening import listening
from tests.making import end, new_board
from tests.receiver import Receiver, Reply, receiving

KEY = bytes(range(32))
LOCAL = ("127.0.0.0/8",)
TOLD = (("announce.ended", 0),)


class Parts:
    """Everything about webhooks on one server, without a service around it."""

    def __init__(self, store: RedisStore, egress: Egress) -> None:
        self.boards = store
        self.store = HookStore(store.line(0))
        self.sealer = Sealer([KEY])
        self.interest = Interest(self.store)
        self.egress = egress
        self.hooks = Webhooks(self.store, self.sealer, self.interest, self.egress)
        self.announcer = Announcer(store, self.store)

    def deliverer(self, **more: Any) -> Deliverer:
        """One more process that delivers."""
        courier = EgressCourier(timeout_s=more.pop("timeout_s", 5.0), egress=self.egress)
        given = {"lease_ms": 500, "poll_s": 0.05, "pace": 1e-4, **more}
        return Deliverer(self.store, self.sealer, courier, **given)

    async def tell(self) -> str:
        """A board that has ended and is still to be announced."""
        board = await new_board(self.boards)
        await end(self.boards, board, due=TOLD)
        return board


@pytest.fixture
async def parts(redis_store: RedisStore) -> AsyncIterator[Parts]:
    async with open_client() as client:
        yield Parts(redis_store, Egress(LOCAL, client=client))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


async def run(deliverer: Deliverer, done: Any) -> None:
    """Deliver until it is done."""
    task = asyncio.create_task(deliverer.serve())
    try:
        await until(done)
    finally:
        await deliverer.stop()
        await task


async def due(store: Store, board: str) -> list[str]:
    """Names on the sweeper's list."""
    return [row.name for row in (await store.due(keys.partition_of(board)))[1] if row.board == board]


class TestAnnouncing:
    async def test_what_is_announced_twice_is_delivered_once(self, parts: Parts, receiver: Receiver) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        board = await parts.tell()
        for _ in range(3):
            # A process that was lost before it took the row off the list leaves it to the next.
            await parts.announcer.announce(Due(board, "announce.ended", 0))
        assert await due(parts.boards, board) == []
        (made,), _ = await parts.hooks.deliveries("acme", told.webhook.id)
        assert (made.type, made.board, made.status) == ("board.completed", board, "pending")

    async def test_a_board_that_is_gone_is_announced_to_nobody(self, parts: Parts, receiver: Receiver) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        board = await parts.tell()
        assert await parts.boards.retire(board)
        await parts.announcer.announce(Due(board, "announce.ended", 0))
        assert await parts.hooks.deliveries("acme", told.webhook.id) == ([], "")

    async def test_whoever_listens_since_later_is_not_told(self, parts: Parts, receiver: Receiver) -> None:
        board = await parts.tell()
        ended = int((await parts.boards.head(board) or {})["ended"])

        async def later() -> bool:
            return await parts.store.now() > ended

        await until(later)
        told = await parts.hooks.create("acme", receiver.url())
        await parts.announcer.announce(Due(board, "announce.ended", 0))
        assert await parts.hooks.deliveries("acme", told.webhook.id) == ([], "")

    async def test_the_end_leaves_what_is_still_to_be_announced(self, parts: Parts, memory_store: Store) -> None:
        for store in (parts.boards, memory_store):
            board = await new_board(store, due=(("announce.created", 0), ("check", 0)))
            await end(store, board, due=TOLD)
            assert sorted(await due(store, board)) == ["announce.created", "announce.ended"]
            await store.done([Due(board, "announce.created", 0)])
            assert await due(store, board) == ["announce.ended"]

    async def test_a_controller_that_comes_later_sees_to_it(
        self, redis_url: str, tmp_path: Path, receiver: Receiver, redis_store: RedisStore
    ) -> None:
        """The one before it was lost between the end and the announcement."""
        async with door(redis_url, tmp_path, *V1, roles="api", egress_allow=LOCAL) as served:
            await served.client.post("/v1/webhooks", json={"url": receiver.url()})
            board = await new_board(redis_store, tenant="default")
            await end(redis_store, board, due=TOLD)
        assert not receiver.got
        async with door(redis_url, tmp_path, *V1, egress_allow=LOCAL):

            async def told() -> bool:
                return len(receiver.got) == 1

            await until(told)
            assert receiver.got[0].json["data"]["board"] == board
            assert await due(redis_store, board) == []


class TestLosing:
    async def test_what_a_lost_process_took_another_one_delivers(self, parts: Parts, receiver: Receiver) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        sent = await parts.hooks.test("acme", told.webhook.id)
        assert await parts.store.take(lane_of("acme", told.webhook.id), 4, 300) == [
            sent.id
        ]  # and is never heard of again
        assert await parts.store.take(lane_of("acme", told.webhook.id), 4, 300) == []

        async def delivered() -> bool:
            found = await parts.hooks.delivery("acme", told.webhook.id, sent.id)
            return found.status == "delivered" and len(receiver.got) == 1

        await run(parts.deliverer(), delivered)

    async def test_two_processes_share_the_work(self, parts: Parts, receiver: Receiver) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        ids = {(await parts.hooks.test("acme", told.webhook.id)).id for _ in range(40)}
        other = parts.deliverer()
        task = asyncio.create_task(other.serve())

        async def all_came() -> bool:
            return {one.id for one in receiver.got} == ids

        await run(parts.deliverer(), all_came)
        await other.stop()
        await task
        assert len(receiver.got) == 40, "nothing came twice"

    async def test_an_attempt_outlives_its_lease(self, parts: Parts, receiver: Receiver) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        receiver.always["/hook"] = Reply(hang=True)
        sent = await parts.hooks.test("acme", told.webhook.id)

        async def failed() -> bool:
            return (await parts.hooks.delivery("acme", told.webhook.id, sent.id)).status == "failed"

        await run(parts.deliverer(timeout_s=1.0, lease_ms=300), failed)
        assert len(receiver.got) == 1, "the lease was renewed"

    async def test_what_was_deleted_is_not_delivered(self, parts: Parts, receiver: Receiver, redis_url: str) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        await parts.hooks.test("acme", told.webhook.id)
        await parts.hooks.delete("acme", told.webhook.id)
        async with Redis.from_url(redis_url, decode_responses=True) as raw:
            left = [key async for key in raw.scan_iter("bb:{hooks}*")]
        assert left == ["bb:{hooks}:edition:all"]

    async def test_every_key_is_known_and_goes_in_time(self, parts: Parts, receiver: Receiver, redis_url: str) -> None:
        told = await parts.hooks.create("acme", receiver.url())
        await parts.hooks.test("acme", told.webhook.id)
        async with Redis.from_url(redis_url, decode_responses=True) as raw:
            async for key in raw.scan_iter("bb:{hooks}*"):
                assert any(pattern.match(key) for pattern in keys.PATTERNS), key
                if re.match(r"bb:\{hooks\}:(delivery|log):", key):
                    assert 0 < await raw.pttl(key) <= 14 * 86_400_000


async def test_a_name_that_leads_inside_is_blocked_before_any_connection(redis_store: RedisStore) -> None:
    asked: list[str] = []

    async def inside(host: str, port: int) -> Sequence[Any]:
        asked.append(host)
        return (ip_address("93.184.216.34"), ip_address("127.91.7.3"))

    async with receiving("127.91.7.3", 8443) as receiver:
        parts = Parts(redis_store, Egress((), resolve=inside))
        told = await parts.hooks.create("acme", "https://hooks.example.com:8443/")
        await parts.hooks.test("acme", told.webhook.id)

        async def tried() -> bool:
            (found,), _ = await parts.hooks.deliveries("acme", told.webhook.id)
            return found.status == "failed" and found.attempts[0].error == "blocked"

        await run(parts.deliverer(), tried)
        assert (asked, receiver.connects) == (["hooks.example.com"], 0)


class Tenants:
    """A key for each of two tenants."""

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """See access.Gate."""
        if len(authorization) != 1 or authorization[0] not in ("Bearer acme", "Bearer zen"):
            raise Unauthorized("no such key")
        return Admitted(Caller(authorization[0].partition(" ")[2], "person:x"))


async def test_a_tenant_never_meets_anothers_webhooks(redis_url: str, tmp_path: Path, receiver: Receiver) -> None:
    async with door(redis_url, tmp_path, *V1, roles="api controller worker", egress_allow=LOCAL) as served:
        service = replace(served.service, gate=Tenants())
        async with listening(service) as (_, client, _):
            acme, zen = ({"authorization": f"Bearer {name}"} for name in ("acme", "zen"))
            made = {
                name: (await client.post("/v1/webhooks", json={"url": receiver.url(f"/{name}")}, headers=who)).json()
                for name, who in (("acme", acme), ("zen", zen))
            }
            again = await client.post("/v1/webhooks", json={"url": receiver.url("/acme")}, headers=zen)
            assert again.status_code == 201, "another tenant's address is nobody's business"
            path = made["acme"]["links"]["self"]
            sent = (await client.post(f"{path}/test", headers=acme)).json()
            await client.post("/v1/webhooks/callbacks/rotate", headers=acme)
            unknown = "/v1/webhooks/wh_" + "a" * 26
            for method, rest, body in (
                ("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"enabled": False}), ("POST", "/rotate", None),
                ("POST", "/test", None), ("GET", "/deliveries", None), ("GET", f"/deliveries/{sent['id']}", None),
                ("POST", "/redeliver", {"since": 0}), ("POST", "/redeliver", {"delivery": sent["id"]}),
            ):  # fmt: skip
                more: dict[str, Any] = {"headers": zen, **({"json": body} if body else {})}
                foreign = await client.request(method, path + rest, **more)
                nothing = await client.request(method, unknown + rest, **more)
                assert _bare(foreign) == _bare(nothing)
                assert foreign.status_code == 404
            assert (await client.get("/v1/webhooks/callbacks", headers=zen)).status_code == 404
            own = f"{made['zen']['links']['self']}/deliveries"
            assert (await client.get(f"{own}/{sent['id']}", headers=zen)).status_code == 404
            assert (await client.get(own, params={"cursor": sent["id"]}, headers=zen)).status_code == 400
            board = (await client.post("/v1/documents", json={"text": "one of 2024"}, headers=zen)).json()["id"]

            async def told() -> bool:
                return len(receiver.at("/zen")) == 1 and len(receiver.at("/acme")) == 2

            await until(told)
            assert {one.json["type"]: one.json["data"].get("board") for one in receiver.at("/acme")} == {
                "webhook.test": None, "board.completed": board,
            }  # fmt: skip
            assert all(one.verified(made["acme"]["secret"]) for one in receiver.at("/acme", "webhook.test"))


def _bare(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "")


async def test_secrets_are_sealed_anew_under_another_key(parts: Parts, receiver: Receiver) -> None:
    first = await parts.hooks.create("acme", receiver.url())
    await parts.hooks.rotate("acme", first.webhook.id)
    await parts.hooks.rotate("zen", "callbacks")
    new = bytes(reversed(KEY))
    with pytest.raises(SecretUnreadable):
        await reseal(parts.store, Sealer([new]))
    assert await reseal(parts.store, Sealer([new, KEY])) == (2, 0)
    assert await reseal(parts.store, Sealer([new, KEY])) == (0, 2)
    parts.sealer = Sealer([new])
    sent = await parts.hooks.test("acme", first.webhook.id)

    async def delivered() -> bool:
        return (await parts.hooks.delivery("acme", first.webhook.id, sent.id)).status == "delivered"

    await run(parts.deliverer(), delivered)
    assert receiver.got[0].verified("whsec_" + b64encode(first.secret).decode())


async def test_a_process_without_the_key_says_so_and_loses_nothing(parts: Parts, receiver: Receiver) -> None:
    told = await parts.hooks.create("acme", receiver.url())
    board = await parts.tell()
    await parts.announcer.announce(Due(board, "announce.ended", 0))

    async def newest() -> Any:
        return (await parts.hooks.deliveries("acme", told.webhook.id))[0][0]

    async def said() -> bool:
        return any(each.error == "secret-unreadable" for each in (await newest()).attempts)

    async def delivered() -> bool:
        return bool((await newest()).status == "delivered")

    right, parts.sealer = parts.sealer, Sealer([bytes(32)])
    await run(parts.deliverer(pace=0.02), said)
    parts.sealer = right
    await run(parts.deliverer(), delivered)
    shown: Webhook = await parts.hooks.get("acme", told.webhook.id)
    assert not shown.failing


async def test_a_board_is_kept_until_its_end_is_told(redis_store: RedisStore, tmp_path: Path) -> None:
    """However short its retention, and however long who is to be told of it cannot be found."""
    board = await new_board(redis_store)
    await end(redis_store, board, due=(*TOLD, ("retention", 0)))
    heard: list[str] = []

    class Troubled:
        """Cannot at first."""

        async def announce(self, due: Due) -> None:
            """See Announcer."""
            heard.append(due.board)
            if len(heard) < 3:
                raise StorageUnavailable("not now")
            assert await redis_store.head(due.board), "the board is still there"
            await redis_store.done([due])

    settings = Settings(data_dir=tmp_path, sweep_s=0.05, check_s=0.1)
    queue = Queue(redis_store.line(0))
    controller = Controller(
        store=redis_store, queue=queue, sources=V1, settings=settings, with_store=True, announcer=Troubled()
    )
    task = asyncio.create_task(controller.serve())

    async def gone() -> bool:
        return await redis_store.head(board) is None

    await until(gone)
    await controller.stop()
    await task
    assert len(heard) == 3


@pytest.mark.cluster
async def test_boards_on_a_cluster_are_told_of(
    cluster: list[Server], server: Server, tmp_path: Path, receiver: Receiver
) -> None:
    more = {"cluster": True, "queue_url": server.url, "egress_allow": LOCAL, "roles": "api controller worker"}
    async with door(cluster[0].url, tmp_path, *V1, **more) as served:
        made = (await served.client.post("/v1/webhooks", json={"url": receiver.url()})).json()
        boards = {await served.submit() for _ in range(4)}

        async def told() -> bool:
            found = (await served.get(f"{made['links']['self']}/deliveries"))["items"]
            return {each["board"] for each in found if each["status"] == "delivered"} == boards

        await until(told)
        assert {one.verified(made["secret"])["data"]["board"] for one in receiver.got} == boards
        page = await served.get(f"{made['links']['self']}/deliveries", limit=3)
        assert page["next_cursor"]
        assert (await served.client.delete(made["links"]["self"])).status_code == 204


async def test_a_tenant_whose_receivers_all_hang_holds_up_no_other(parts: Parts, receiver: Receiver) -> None:
    for number in range(12):
        slow = await parts.hooks.create("acme", receiver.url(f"/slow{number}"))
        receiver.always[f"/slow{number}"] = Reply(hang=True)
        for _ in range(4):
            await parts.hooks.test("acme", slow.webhook.id)
    quick = await parts.hooks.create("zen", receiver.url("/quick"))
    await parts.hooks.test("zen", quick.webhook.id)

    async def came() -> bool:
        return len(receiver.at("/quick")) == 1 and len(receiver.got) == PER_TENANT + 1

    deliverer = parts.deliverer(timeout_s=30.0, lease_ms=60_000)
    task = asyncio.create_task(deliverer.serve())
    await until(came)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
