"""No room for more work: too much waits, too many boards are under way, the budget of the day is spent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from blackboard.keys import new_board_id
from blackboard.quotas import UNMADE_MS
from blackboard.store import RedisStore
from controller.access import Admitted, Caller
from controller.access import Scope as Needed
from controller.load import QueueLoad, Standing
from controller.settings import Settings
from knowledge_sources.llm.accounts import Books
from knowledge_sources.llm.calls import Caller as Spender
from knowledge_sources.llm.calls import Usage
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.ports import Endpoint, Row
from tests.integration.serving import Served, Small, serving
from tests.listening import listening
from tests.making import activation, agenda, end, until
from tests.spending import line_to, settings

FLIGHT = "bb:{access}:flight:default"


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["type"]).rpartition("/")[2]


async def post(served: Served, text: str = "x", **more: Any) -> httpx2.Response:
    return await served.client.post("/v1/documents", json={"text": text}, **more)


# -- boards under way --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["redis_store", pytest.param("cluster_store", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest) -> RedisStore:
    """On one server, and on a cluster."""
    found: RedisStore = request.getfixturevalue(request.param)
    return found


async def test_the_limit_is_exact_however_many_come_at_once(store: RedisStore) -> None:
    """Over two processes, as it were: each with a server and a count of its own."""
    limit = {"limit_boards_in_flight": 10}
    async with serving(store, **limit) as one, serving(store, **limit) as other:
        answers = await asyncio.gather(*(post(served) for _ in range(25) for served in (one, other)))
        made = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code != 202]
        assert len(made) == 10
        assert {slug(answer) for answer in refused} == {(429, "too-many-boards")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        for board in made[:3]:
            await end(store, board)
        answers = await asyncio.gather(*(post(served) for _ in range(10) for served in (one, other)))
        assert [answer.status_code for answer in answers].count(202) == 3
        # Looking on is not limited, and nothing of what was refused is there.
        assert len((await one.client.get("/v1/boards")).json()["items"]) == 13


async def test_a_fork_is_one_more(redis_store: RedisStore) -> None:
    async with serving(redis_store, limit_boards_in_flight=1) as served:
        board = (await post(served)).json()["id"]
        await end(redis_store, board)
        fork = await served.client.post(f"/v1/boards/{board}/retry")
        assert fork.status_code == 202, fork.text
        for path in ("retry", "sources/report?space=shadow"):
            assert slug(await served.client.post(f"/v1/boards/{board}/{path}")) == (429, "too-many-boards")
        await end(redis_store, fork.json()["id"])
        assert (await served.client.post(f"/v1/boards/{board}/sources/report?space=shadow")).status_code == 202


async def test_what_was_not_made_takes_no_room(redis_store: RedisStore) -> None:
    async with serving(redis_store, limit_boards_in_flight=1) as served:
        assert slug(await post(served, text="<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"))[0] == 422
        assert (await post(served)).status_code == 202
        # A process died between counting its board and making it, another long ago.
        seconds, _ = await redis_store._commands.time()
        await redis_store._commands.delete(FLIGHT)
        await redis_store._commands.zadd(FLIGHT, {new_board_id(1): seconds * 1000})
        assert slug(await post(served)) == (429, "too-many-boards")
        await redis_store._commands.delete(FLIGHT)
        await redis_store._commands.zadd(FLIGHT, {new_board_id(2): seconds * 1000 - UNMADE_MS - 1000})
        assert (await post(served)).status_code == 202
        assert await redis_store._commands.zcard(FLIGHT) == 1
        assert await redis_store._commands.pttl(FLIGHT) > 0


async def test_long_lists_are_looked_through_to_their_end(redis_store: RedisStore) -> None:
    async with serving(redis_store, limit_boards_in_flight=600) as served:
        boards = [new_board_id(index % 16) for index in range(600)]
        seconds, _ = await redis_store._commands.time()
        for board in boards:
            await redis_store._commands.hset(f"bb:{{{board.partition('-')[0]}}}:b:{board}:head", "status", "open")
        await redis_store._commands.zadd(FLIGHT, {board: seconds * 1000 + at for at, board in enumerate(boards)})
        assert slug(await post(served)) == (429, "too-many-boards")
        last = boards[-1]
        await redis_store._commands.hset(f"bb:{{{last.partition('-')[0]}}}:b:{last}:head", "status", "failed")

        async def taken() -> bool:
            return (await post(served)).status_code == 202

        # So many are not looked up anew at once.
        await until(taken)
        assert slug(await post(served)) == (429, "too-many-boards")


async def test_nothing_is_counted_without_a_limit(redis_store: RedisStore) -> None:
    async with serving(redis_store) as served:
        assert (await post(served)).status_code == 202
        assert not await redis_store._commands.exists(FLIGHT)


class ByName:
    """The key is the tenant."""

    async def admit(self, authorization: Any, needs: Needed) -> Admitted:
        """See access.Gate."""
        return Admitted(Caller(authorization[0].removeprefix("Bearer ")))


async def test_each_tenant_has_its_own(redis_store: RedisStore) -> None:
    service = Small(redis_store, redis_store.blobs, Settings(limit_boards_in_flight=1), gate=ByName())  # type: ignore[arg-type]
    async with listening(service) as (_, client, _):
        answers = [
            await client.post("/v1/documents", json={"text": "x"}, headers={"Authorization": f"Bearer {tenant}"})
            for tenant in ("a", "b", "a")
        ]
    await service.feed.close()
    assert [answer.status_code for answer in answers] == [202, 202, 429]


# -- back-pressure -----------------------------------------------------------------------------------------------------


class Full:
    """More waits than may; `limit` 0: any number may."""

    limit = 10

    async def look(self) -> Standing:
        """See load.Load."""
        return Standing((QueueLoad("ocr", "1", 8, 4.0), QueueLoad("pages", "1", 3, 1.0)), self.limit)


async def test_too_much_waits(redis_store: RedisStore) -> None:
    async with serving(redis_store) as served:
        key = {"Idempotency-Key": '"a"'}
        board = (await post(served, headers=key)).json()["id"]
        served.service.load = full = Full()
        waits = set()
        for _ in range(12):
            answer = await post(served)
            assert slug(answer) == (503, "overloaded")
            waits.add(int(answer.headers["retry-after"]))
        assert len(waits) > 1 and min(waits) >= 2 and max(waits) <= 10
        # What was taken on before goes on, and is answered again.
        assert (await post(served, headers=key)).json()["id"] == board
        assert (await served.client.get(f"/v1/boards/{board}")).status_code == 200
        assert (await served.client.post(f"/v1/boards/{board}/cancel")).status_code == 202
        full.limit = 0
        assert (await post(served)).status_code == 202


@pytest.mark.parametrize("path", ["retry", "fork", "sources/report?space=shadow"])
@pytest.mark.parametrize("ended", [True, False])
async def test_boards_do_not_go_on_while_too_much_waits(redis_store: RedisStore, path: str, ended: bool) -> None:
    """Neither as a new board nor with more work on this one."""
    key = {"Idempotency-Key": '"a"'}
    async with serving(redis_store) as served:
        board = (await post(served)).json()["id"]
        failed = activation("intake.0123456789abcdef", "failed", 1, source="intake", binding="upload/original")
        await agenda(redis_store, board, failed)
        if ended:
            await end(redis_store, board)
        before = await redis_store.projection(board)
        served.service.load = full = Full()
        refused = await served.client.post(f"/v1/boards/{board}/{path}", headers=key)
        assert slug(refused) == (503, "overloaded")
        assert 2 <= int(refused.headers["retry-after"]) <= 10
        assert len((await served.client.get("/v1/boards")).json()["items"]) == 1
        assert await redis_store.projection(board) == before
        full.limit = 0
        taken = await served.client.post(f"/v1/boards/{board}/{path}", headers=key)
        assert taken.status_code == 202, taken.text
        # What was taken on before is answered again.
        full.limit = 10
        again = await served.client.post(f"/v1/boards/{board}/{path}", headers=key)
        assert (again.status_code, again.json()["id"]) == (202, taken.json()["id"])


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/boards/{board}/fork"])
async def test_it_is_said_before_the_body_was_sent(redis_store: RedisStore, path: str) -> None:
    async with serving(redis_store) as served:
        board = await served.submit()
        served.service.load = Full()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(
            b"POST " + path.format(board=board).encode() + b" HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000000\r\n\r\n--b\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"connection: close" in head.lower()
        writer.close()


# -- the day's budget --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def booked(
    redis_url: str, store: RedisStore, **limits: Any
) -> AsyncIterator[tuple[Served, RedisLedger, list[float]]]:
    """A service with real books, the ledger behind them, and the clock."""
    clock = [86_400.0 * 20_000 + 86_000]
    async with line_to(redis_url) as line, serving(store, **limits) as served:
        served.service.accounts = Books(line, settings(), clock=lambda: clock[0])
        yield served, RedisLedger(line), clock


def spent(at: float, tokens: int, tenant: str = "default") -> Row:
    return Row(
        id=f"call-{at}-{tenant}", at=int(at * 1000), caller=Spender(tenant, new_board_id(1), "a", 1, "claims_model"),
        endpoint=Endpoint("https://models.example.com", "claude-haiku-5-5"), request="r", prompt="p",
        outcome="answered", usage=Usage(tokens - 30, 10, 15, 5), nano=1000,
    )  # fmt: skip


async def test_tokens_of_the_day(redis_url: str, redis_store: RedisStore) -> None:
    async with booked(redis_url, redis_store, limit_tokens_per_day=1000) as (served, ledger, clock):

        async def asked(models: str = "auto") -> httpx2.Response:
            return await served.client.post("/v1/documents", json={"text": "x", "models": models})

        served.service.desk._models = True
        await ledger.end(spent(clock[0], 999))
        await ledger.end(spent(clock[0], 5000, "another"))
        board = (await asked()).json()["id"]
        await end(redis_store, board)
        await ledger.end(spent(clock[0] + 1, 31))
        refused = await asked()
        assert slug(refused) == (429, "budget-exhausted")
        assert refused.headers["retry-after"] == "400"
        form = {"files": {"file": ("a.txt", b"x" * 10)}, "data": {"models": "auto"}}
        assert slug(await served.client.post("/v1/documents", **form)) == (429, "budget-exhausted")  # type: ignore[arg-type]
        for verb in ("retry", "fork"):
            again = await served.client.post(f"/v1/boards/{board}/{verb}")
            assert slug(again) == (429, "budget-exhausted")
        assert slug(await served.client.post(f"/v1/boards/{board}/sources/report")) == (429, "budget-exhausted")
        # Who asks no models needs none.
        assert (await asked("off")).status_code == 202
        clock[0] += 400
        assert (await asked()).status_code == 202


async def test_money_of_the_day(redis_url: str, redis_store: RedisStore) -> None:
    from knowledge_sources.llm.caps import SpendingCaps
    from knowledge_sources.llm.money import nano_of

    async with booked(redis_url, redis_store) as (served, _, clock), line_to(redis_url) as line:
        served.service.desk._models = True
        capped = settings(tenant_day_usd=0.5)
        served.service.accounts = Books(line, capped, clock=lambda: clock[0])
        caps = SpendingCaps(line, capped, clock=lambda: clock[0])
        held = await caps.reserve(Spender("default", "", "a", 1, "claims_model"), nano_of(0.5))
        # What is set aside for calls under way may come back.
        assert (await served.client.post("/v1/documents", json={"text": "x", "models": "auto"})).status_code == 202
        await caps.settle(held, nano_of(0.5))
        refused = await served.client.post("/v1/documents", json={"text": "x", "models": "auto"})
        assert slug(refused) == (429, "budget-exhausted")
