"""API keys over HTTP: made, shown once, rotated, revoked; what each opens; how often; and the time before the first."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from blackboard import keys
from blackboard.callers import KeyRows
from blackboard.errors import StorageUnavailable, UsageError
from blackboard.store import RedisStore
from controller import key_gate
from controller.access import SCOPES
from controller.credentials import Key, id_in
from controller.http import guard
from controller.keyring import Keyring
from tests.fleet import until
from tests.integration.doors import V1, Door, door

ALL = sorted(SCOPES)
CONTENT = ("read", "submit", "contribute")
RATE = re.compile(r'"default";r=(\d+);t=(\d+)\Z')


@pytest.fixture
async def service(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """A service without controller and workers, and without a key yet."""
    async with door(redis_url, tmp_path, *V1, roles="") as opened:
        yield opened


def bearer(secret: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"authorization": f"Bearer {secret}"}


async def made(service: Door, name: str = "root", scopes: Sequence[str] = ALL, **more: Any) -> tuple[Key, str]:
    """A key of the tenant `default`, unless said otherwise."""
    return await service.service.keyring.create(name, scopes=scopes, by="test", **{"tenant": "default", **more})


def slug(answer: httpx2.Response) -> str:
    """What kind of problem it is."""
    return str(answer.json()["type"].rpartition("/")[2])


async def test_the_first_key_closes_the_door(service: Door) -> None:
    client = service.client
    assert (await client.get("/v1/boards")).status_code == 200
    answer = await client.post("/v1/keys", json={"name": "root", "scopes": ALL})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json()
    secret = shown.pop("secret")
    assert id_in(secret) == shown["id"]
    assert (shown["name"], shown["tenant"], shown["status"], shown["created_by"]) == (
        "root", "default", "active", "person:anonymous",
    )  # fmt: skip

    async def closed() -> bool:
        return (await client.get("/v1/boards")).status_code == 401

    await until(closed, 3)
    assert (await client.get("/v1/boards", headers=bearer(secret))).status_code == 200
    found = await client.get(answer.headers["location"], headers=bearer(secret))
    assert found.json() == {**shown, "last_used": found.json()["last_used"]}
    assert found.json()["last_used"] > 0
    listed = (await client.get("/v1/keys", headers=bearer(secret))).json()
    assert [each["id"] for each in listed["items"]] == [shown["id"]]
    assert secret.rpartition("_")[2] not in str(listed)


async def test_another_process_learns_of_the_first_key(service: Door, redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path / "other", roles="") as other:
        assert (await other.client.get("/v1/boards")).status_code == 200
        _, secret = await made(service)
        assert (await other.client.get("/v1/boards", headers=bearer(secret))).status_code == 200, "at once with the key"
        # It has been shown that keys are asked for, so the second in which it need not look is over.
        assert (await other.client.get("/v1/boards")).status_code == 401


async def test_every_bad_key_gets_the_same_answer(service: Door) -> None:
    _, good = await made(service)
    revoked, gone = await made(service, "revoked")
    await service.service.keyring.revoke(revoked.id)
    expired, late = await made(service, "expired")
    async with Redis.from_url(service.service.url) as server:
        await server.hset(f"bb:{{access}}:key:{expired.id}", "expires", "1")
    wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
    shown: list[list[tuple[str, str]]] = [
        [], *([("authorization", text)] for text in (
            "Bearer", "Bearer bb_", "Bearer x", f"Basic {good}", good, f"Bearer {good} {good}", f"Bearer {wrong}",
            f"Bearer bb_{'a' * 16}_{'b' * 32}", f"Bearer {gone}", f"Bearer {late}", f"Bearer {good}\u00e9",
        )),
        [("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")],
    ]  # fmt: skip
    answers = set()
    for headers in shown:
        coded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        answer = await service.client.get("/v1/boards", headers=coded)
        assert answer.status_code == 401, headers
        plain = answer.text.replace(answer.headers["x-request-id"], "ID")
        kept = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        answers.add((plain, tuple(sorted(kept.items()))))
    assert len(answers) == 1
    assert ("www-authenticate", "Bearer") in answers.pop()[1]
    assert (await service.client.get("/v1/boards", headers={"Authorization": f"bEARER {good}"})).status_code == 200


async def test_a_key_opens_what_its_scopes_say(service: Door) -> None:
    secrets = {scope: (await made(service, scope, [scope]))[1] for scope in ALL}
    asked = {
        "read": ("GET", "/v1/boards", None),
        "submit": ("POST", "/v1/documents", {"text": "x"}),
        "contribute": ("POST", "/v1/activations/claim", {"sources": ["x"]}),
        "admin": ("GET", "/v1/keys", None),
    }
    for needs, (method, path, body) in asked.items():
        for scope, secret in secrets.items():
            answer = await service.client.request(method, path, json=body, headers=bearer(secret))
            assert (answer.status_code == 403) == (scope != needs), (needs, scope, answer.text)
            if answer.status_code == 403:
                assert slug(answer) == "forbidden"


async def test_contributions_carry_the_keys_name(service: Door) -> None:
    _, secret = await made(service, "maria.k", CONTENT)
    board = (await service.client.post("/v1/documents", json={"text": "x"}, headers=bearer(secret))).json()["id"]
    path = f"/v1/boards/{board}/entries/year/0001"
    value = {"number": 1, "text": "2024", "by": "hand"}
    answer = await service.client.put(path, json=value, headers={**bearer(secret), "if-none-match": "*"})
    assert (answer.status_code, answer.json()["owner"]) == (201, "person:maria.k")
    await service.client.post(f"/v1/boards/{board}/cancel", headers=bearer(secret))
    log = (await service.client.get(f"/v1/boards/{board}/log", headers=bearer(secret))).text
    assert log.count('"person:maria.k"') >= 2
    assert secret.rpartition("_")[2] not in log


async def test_rotation_keeps_both_secrets_for_the_overlap(service: Door) -> None:
    _, root = await made(service)
    key, old = await made(service, "scanner", CONTENT)

    async def opens(secret: str) -> bool:
        return (await service.client.get("/v1/boards", headers=bearer(secret))).status_code == 200

    path = f"/v1/keys/{key.id}/rotate"
    rotated = (await service.client.post(path, json={"overlap_s": 600}, headers=bearer(root))).json()
    assert (rotated["id"], rotated["name"]) == (key.id, "scanner")
    assert rotated["overlap_until"] == rotated["rotated"] + 600_000
    newer = rotated["secret"]
    assert [await opens(old), await opens(newer)] == [True, True]
    newest = (await service.client.post(path, json={"overlap_s": 0}, headers=bearer(root))).json()["secret"]
    assert [await opens(each) for each in (old, newer, newest)] == [False, False, True]
    assert (await service.client.delete(f"/v1/keys/{key.id}", headers=bearer(root))).status_code == 204
    assert (await service.client.delete(f"/v1/keys/{key.id}", headers=bearer(root))).status_code == 204
    assert not await opens(newest)
    assert slug(await service.client.post(path, headers=bearer(root))) == "key-ended"


async def test_nobody_gives_more_than_they_have(service: Door) -> None:
    _, root = await made(service)
    admin, own = await made(service, "admin", ["read", "admin"], tenant="acme", rate=100)
    ops, _ = await made(service, "ops", ALL, tenant="acme")
    other, _ = await made(service, "other", CONTENT, tenant="globex")

    async def asks(method: str, path: str, secret: str = own, **body: Any) -> httpx2.Response:
        return await service.client.request(method, path, headers=bearer(secret), **({"json": body} if body else {}))

    refused = [
        {"name": "x", "scopes": ["submit"]}, {"name": "x", "scopes": ["read", "operate"]},
        {"name": "x", "scopes": ["read"], "tenant": "globex"},
        {"name": "x", "scopes": ["read"], "requests_per_minute": 101},
        {"name": "x", "scopes": ["read"], "requests_per_minute": 0},
    ]  # fmt: skip
    for body in refused:
        assert (await asks("POST", "/v1/keys", **body)).status_code == 403, body
    fine = await asks("POST", "/v1/keys", name="reader", scopes=["read"])
    assert (fine.status_code, fine.json()["tenant"], fine.json()["requests_per_minute"]) == (201, "acme", 100)
    assert slug(await asks("POST", "/v1/keys", name="reader", scopes=["read"])) == "key-exists"
    assert (await asks("POST", f"/v1/keys/{ops.id}/rotate")).status_code == 403, "it may do more"
    assert (await asks("DELETE", f"/v1/keys/{ops.id}")).status_code == 403
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert (await asks(method, f"/v1/keys/{other.id}{path}")).status_code == 404
    assert (await asks("GET", "/v1/keys?tenant=globex")).status_code == 403
    assert (await asks("GET", "/v1/keys?tenant=nobody")).status_code == 403
    names = [each["name"] for each in (await asks("GET", "/v1/keys")).json()["items"]]
    assert names == ["admin", "ops", "reader"]
    theirs = await asks("GET", "/v1/keys?tenant=globex", root)
    assert [each["name"] for each in theirs.json()["items"]] == ["other"]
    made_for = await asks("POST", "/v1/keys", root, name="second", tenant="globex", requests_per_minute=0)
    assert (made_for.json()["tenant"], made_for.json()["scopes"]) == ("globex", ["read", "submit", "contribute"])
    assert (await asks("DELETE", f"/v1/keys/{admin.id}")).status_code == 204, "one's own"
    assert (await asks("GET", "/v1/keys")).status_code == 401


async def test_listing_goes_page_by_page(service: Door) -> None:
    _, root = await made(service)
    for number in range(4):
        await made(service, f"k{number}", ["read"])
    names, path = [], "/v1/keys?limit=2"
    while path:
        answer = await service.client.get(path, headers=bearer(root))
        names += [each["name"] for each in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert names == ["root", "k0", "k1", "k2", "k3"]
    bad = await service.client.get("/v1/keys?cursor=aaaa", headers=bearer(root))
    assert (bad.status_code, slug(bad)) == (400, "invalid-parameter")


async def test_requests_of_a_key_are_counted(service: Door) -> None:
    await made(service)
    _, slow = await made(service, "slow", ["read"], rate=6)
    key, _ = await made(service, "other", ["read"], rate=6)
    left = []
    for _ in range(6):
        answer = await service.client.get("/v1/boards", headers=bearer(slow))
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"default";q=6;w=60'
        found = RATE.match(answer.headers["ratelimit"])
        assert found is not None, answer.headers["ratelimit"]
        left.append(int(found[1]))
        assert 10 * (6 - left[-1]) - 3 <= int(found[2]) <= 10 * (6 - left[-1])
    assert left == [5, 4, 3, 2, 1, 0]
    missing = await service.client.get("/v1/boards/0-" + "a" * 26, headers=bearer(slow))
    assert (missing.status_code, slug(missing)) == (429, "rate-limited")
    assert 8 <= int(missing.headers["retry-after"]) <= 10
    assert missing.headers["ratelimit"].startswith('"default";r=0;t=')
    # Wrong secrets of a known id take nothing from it.
    for _ in range(8):
        guess = f"bb_{key.id}_{'a' * 32}"
        assert (await service.client.get("/v1/boards", headers=bearer(guess))).status_code == 401
    _, secret = await service.service.keyring.rotate(key.id)
    answer = await service.client.get("/v1/nothing", headers=bearer(secret))
    assert (answer.status_code, "ratelimit" in answer.headers) == (404, False)
    answer = await service.client.get("/v1/boards/none", headers=bearer(secret))
    assert (answer.status_code, answer.headers["ratelimit"][:13]) == (404, '"default";r=5')


async def test_a_stream_ends_when_its_key_does(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "EVERY_S", 0.05)
    monkeypatch.setattr(key_gate, "STILL_S", 0.05)
    async with door(redis_url, tmp_path, *V1, roles="", ping_s=0.05) as service:
        await made(service)
        key, secret = await made(service, "watcher", CONTENT, rate=0)
        _, other = await made(service, "other", CONTENT)
        board = (await service.client.post("/v1/documents", json={"text": "x"}, headers=bearer(secret))).json()["id"]
        path, streams = f"/v1/boards/{board}/events", []
        for shown in (secret, other):
            asked = service.client.build_request("GET", path, headers=bearer(shown))
            streams.append(await service.client.send(asked, stream=True))
        assert [each.status_code for each in streams] == [200, 200]
        mine, theirs = (each.aiter_bytes() for each in streams)
        pings = 0
        async for chunk in mine:
            pings += chunk.count(b": ")
            if pings > 5:
                break
        await service.service.keyring.revoke(key.id)
        async with asyncio.timeout(10):
            async for _ in mine:
                pass
        assert await anext(theirs), "who has another key watches on"
        await asyncio.gather(*(each.aclose() for each in streams))
        assert (await service.client.get(path, headers=bearer(secret))).status_code == 401


async def test_a_key_may_have_fewer_streams_than_others(service: Door) -> None:
    _, root = await made(service)
    answer = await service.client.post(
        "/v1/keys", json={"name": "one", "scopes": ["read", "submit"], "streams": 1}, headers=bearer(root)
    )
    assert answer.json()["streams"] == 1
    secret = answer.json()["secret"]
    board = (await service.client.post("/v1/documents", json={"text": "x"}, headers=bearer(secret))).json()["id"]
    path = f"/v1/boards/{board}/events"
    async with service.client.stream("GET", path, headers=bearer(secret)) as first:
        assert first.status_code == 200
        second = await service.client.get(path, headers=bearer(secret))
        assert (second.status_code, slug(second)) == (429, "too-many-streams")
        async with service.client.stream("GET", path, headers=bearer(root)) as other:
            assert other.status_code == 200


async def test_nobody_is_let_in_while_the_server_is_away(redis_store: RedisStore) -> None:
    gate = key_gate.KeyGate(Keyring(KeyRows(redis_store.line(0))), 0)
    assert (await gate.admit([], "read")).local
    monotonic = key_gate.EVERY_S + time.monotonic()
    await redis_store.close()
    await until(lambda: _passed(monotonic))
    for shown in ([], [f"Bearer bb_{'a' * 16}_{'b' * 32}"]):
        with pytest.raises(StorageUnavailable):
            await gate.admit(shown, "read")


async def _passed(at: float) -> bool:
    return time.monotonic() > at


async def test_admission_is_one_round_trip_shared(redis_store: RedisStore) -> None:
    keyring = Keyring(KeyRows(redis_store.line(0)))
    _, secret = await keyring.create("many", tenant="acme", scopes=["read"], by="test", rate=1000)
    line = redis_store.line(0)
    await keyring.look(secret, 1)
    commands, batches = line.commands, line.batches
    found = await asyncio.gather(*(keyring.look(secret, 1) for _ in range(200)))
    assert (line.commands - commands, line.batches - batches) == (200, 1)
    assert all(each.key is not None and each.look.taken for each in found)
    assert sorted((each.look.left for each in found), reverse=True)[0] == 998


async def test_what_lies_on_the_server_opens_nothing(service: Door) -> None:
    _, secret = await made(service)
    assert (await service.client.get("/v1/boards", headers=bearer(secret))).status_code == 200
    async with Redis.from_url(service.service.url) as server:
        dump = b"".join([name + (await server.dump(name) or b"") async for name in server.scan_iter()])
        assert secret.rpartition("_")[2].encode() not in dump
        for name in [name async for name in server.scan_iter(match="bb:{access}:key:*")]:
            digest = (await server.hgetall(name))[b"digest"].decode()
            shown = await service.client.get("/v1/boards", headers=bearer(f"bb_{id_in(secret)}_{digest}"))
            assert shown.status_code == 401


async def test_a_process_with_another_pepper_says_so(redis_store: RedisStore) -> None:
    rows = KeyRows(redis_store.line(0))
    ring = Keyring(rows, "pepper one")
    await ring.verify()
    await ring.create("a", tenant="t", scopes=["read"], by="test")
    await ring.verify()
    for pepper in ("pepper two", ""):
        with pytest.raises(UsageError, match="BLACKBOARD_KEY_PEPPER"):
            await Keyring(rows, pepper).verify()
        with pytest.raises(UsageError, match="BLACKBOARD_KEY_PEPPER"):
            await Keyring(rows, pepper).create("b", tenant="t", scopes=["read"], by="test")


async def test_the_first_key_of_the_settings_is_put_in_place_once(redis_store: RedisStore) -> None:
    first = "bb_first_" + "0123456789abcdef" * 3
    rings = [Keyring(KeyRows(redis_store.line(0))) for _ in range(4)]
    await asyncio.gather(*(ring.put_first(first) for ring in rings))
    key = (await rings[0].look(first, 0)).key
    assert key is not None
    assert (key.tenant, key.scopes, key.edition) == ("default", SCOPES, 1)
    await rings[0].revoke(key.id)
    await rings[1].put_first(first)
    assert (await rings[1].look(first, 0)).key is None, "it does not come back"
    with pytest.raises(UsageError, match="is no key"):
        await rings[0].put_first("secret")


@pytest.mark.cluster
async def test_keys_on_a_cluster(cluster_store: RedisStore) -> None:
    keyring = Keyring(KeyRows(cluster_store.line(0)))
    key, secret = await keyring.create("one", tenant="acme", scopes=["read"], by="test", rate=2)
    assert await keyring.asked()
    found = [await keyring.look(secret, 0) for _ in range(3)]
    assert [each.look.taken for each in found] == [True, True, False]
    assert all(each.key is not None and each.key.id == key.id for each in found)
    assert [each.id for each in await keyring.all("acme")] == [key.id]
    _, newer = await keyring.rotate(key.id, overlap_s=0)
    assert [(await keyring.look(each, 0)).key is not None for each in (secret, newer)] == [False, True]
    await keyring.put_first(f"bb_first_{'0' * 48}")
    assert len(await keyring.all()) == 2


async def test_what_is_kept_of_keys_goes_in_time(redis_store: RedisStore, redis_url: str) -> None:
    rows = KeyRows(redis_store.line(0))
    keyring = Keyring(rows)
    lasting, secret = await keyring.create("lasting", tenant="acme", scopes=["read"], by="test", rate=10)
    passing, _ = await keyring.create("passing", tenant="acme", scopes=["read"], by="test", expires_s=60)
    await keyring.look(secret, 0)
    async with Redis.from_url(redis_url, decode_responses=True) as server:
        assert all([_known(name) async for name in server.scan_iter(match="bb:{access}:*")])
        month = 30 * 86_400
        assert await server.ttl(keys.access("key", lasting.id)) == -1
        assert month < await server.ttl(keys.access("key", passing.id)) <= month + 60
        assert 0 < await server.ttl(keys.access("bucket", lasting.id)) <= 60
        await keyring.revoke(lasting.id)
        assert month - 60 < await server.ttl(keys.access("key", lasting.id)) <= month
        assert await rows.holder("acme", "lasting") == "", "the name is free again"
        await server.delete(keys.access("key", lasting.id))
        assert [each.id for each in await keyring.all("acme")] == [passing.id]
        assert await server.zcard(keys.access("ids", "acme")) == 1
        await server.hset(keys.access("key", passing.id), "expires", "1")
        again, _ = await keyring.create("passing", tenant="acme", scopes=["read"], by="test")
        assert await rows.holder("acme", "passing") == again.id, "who expired holds no name"
        await keyring.revoke(passing.id)
        assert await rows.holder("acme", "passing") == again.id
    assert await keyring.asked(), "for ever"


def _known(name: str) -> bool:
    return any(pattern.match(name) for pattern in keys.PATTERNS)
