"""What a source elsewhere may get wrong: every member of every request, answered with a 4xx problem and nothing written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackboard.levels import Level
from controller.remote.schemas import KEYWORDS, SchemaRefused, level_of_schema
from controller.values import InvalidValue, canonical
from tests.integration.elsewhere import DATES, SCHEMA, Door, door

SECRET = "sesame-93"


@pytest.fixture
async def served(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    async with door(redis_url, tmp_path) as served:
        yield served


def pointers(answer: Any, slug: str = "validation-error") -> list[str]:
    """Where a 422 says that the body is off."""
    assert answer.status_code == 422, answer.text
    found = answer.json()
    assert found["type"].endswith(f"/problems/{slug}")
    assert SECRET not in answer.text
    return [error["pointer"] for error in found["errors"]]


def declared(**changes: Any) -> dict[str, Any]:
    """A declaration that is good but for the changes; `...` leaves a member out."""
    return {name: value for name, value in {**DATES, **changes}.items() if value is not ...}


def inputs(**changes: Any) -> dict[str, Any]:
    """The same with a change of its one input."""
    return declared(inputs=[{"parameter": "page", "kind": "each", "levels": ["page"], **changes}])


def output(**changes: Any) -> dict[str, Any]:
    """The same with a change of its one output."""
    whole = {"level": "date_mention", "schema": SCHEMA, **changes}
    return declared(outputs=[{name: value for name, value in whole.items() if value is not ...}])


PAGE = {"parameter": "page", "kind": "each", "levels": ["page"]}
BAD_DECLARATIONS: list[tuple[Any, str]] = [
    (7, ""),
    ([], ""),
    (declared(version=...), "/version"),
    (declared(version=1), "/version"),
    (declared(version=""), "/version"),
    (declared(version="a b"), "/version"),
    (declared(version="x" * 65), "/version"),
    (declared(inputs=...), "/inputs"),
    (declared(inputs=[]), "/inputs"),
    (declared(inputs={}), "/inputs"),
    (declared(inputs=[PAGE] * 17), "/inputs"),
    (declared(inputs=[7]), "/inputs/0"),
    (inputs(parameter="a b"), "/inputs/0/parameter"),
    (inputs(parameter=7), "/inputs/0/parameter"),
    (inputs(kind="lookup"), "/inputs/0/kind"),
    (inputs(kind=None), "/inputs/0/kind"),
    (inputs(levels=[]), "/inputs/0/levels"),
    (inputs(levels="page"), "/inputs/0/levels"),
    (inputs(levels=[SECRET]), "/inputs/0/levels/0"),
    (inputs(levels=["page", "page"]), "/inputs/0/levels/1"),
    (inputs(by="number"), "/inputs/0/by"),
    (inputs(kind="group"), "/inputs/0/by"),
    (inputs(kind="group", by="nothing"), "/inputs/0/by"),
    (inputs(kind="group", by=7), "/inputs/0/by"),
    (inputs(other=1), "/inputs/0/other"),
    (declared(inputs=[PAGE, {**PAGE, "parameter": "too"}]), "/inputs/1/kind"),
    (declared(inputs=[PAGE, {**PAGE, "kind": "all"}]), "/inputs/1/parameter"),
    (declared(outputs=...), "/outputs"),
    (declared(outputs=[]), "/outputs"),
    (declared(outputs=[{"level": "a", "schema": SCHEMA}] * 2), "/outputs/1/level"),
    (output(level="Date Mention"), "/outputs/0/level"),
    (output(level=7), "/outputs/0/level"),
    (output(level="upload"), "/outputs/0/level"),
    (output(schema=...), "/outputs/0/schema"),
    (output(schema=True), "/outputs/0/schema"),
    (output(schema={"type": "string"}), "/outputs/0/schema"),
    (output(level="report"), "/outputs/0/schema"),
    (output(schema={**SCHEMA, "oneOf": []}), "/outputs/0/schema/oneOf"),
    (output(schema={**SCHEMA, "properties": {"entry": {}}, "required": []}), "/outputs/0/schema/properties/entry"),
    (output(schema={**SCHEMA, "required": [SECRET]}), "/outputs/0/schema/required"),
    (output(named_by=["nothing"]), "/outputs/0/schema/required"),
    (output(named_by="page"), "/outputs/0/named_by"),
    (output(level="page", schema=..., named_by=["text"]), "/outputs/0/named_by"),
    (declared(timeout_s=0), "/timeout_s"),
    (declared(timeout_s="60"), "/timeout_s"),
    (declared(timeout_s=True), "/timeout_s"),
    (declared(timeout_s=1e9), "/timeout_s"),
    (declared(idle_timeout_s=-1), "/idle_timeout_s"),
    (declared(idle_timeout_s=61), "/idle_timeout_s"),
    (declared(required="yes"), "/required"),
    (declared(default=None), "/default"),
    (declared(cost=3), "/cost"),
    (declared(carries=[]), "/carries"),
    (declared(carries={"page": "nothing"}), "/carries/page"),
    (declared(carries={"nothing": "number"}), "/carries/nothing"),
    (declared(carries={"page": 7}), "/carries/page"),
    (declared(inputs=[{**PAGE, "kind": "all"}], carries={"page": "number"}), "/carries/page"),
    (declared(inputs=[{**PAGE, "kind": "group", "by": "number"}], carries={"page": "text"}), "/carries/page"),
    (declared(concurrency=0), "/concurrency"),
    (declared(concurrency=1.5), "/concurrency"),
    (declared(attempts=21), "/attempts"),
    (declared(priority=101), "/priority"),
    (declared(priority="high"), "/priority"),
    (declared(registrant="a b"), "/registrant"),
    (declared(secret=SECRET), "/secret"),
    (declared(inputs=[{**PAGE, "levels": ["report"]}], outputs=[{"level": "page"}]), "/inputs"),
]


async def test_declarations(served: Door) -> None:
    for body, where in BAD_DECLARATIONS:
        answer = await served.client.put("/v1/sources/dates", json=body)
        assert where in pointers(answer), (body, answer.text)
    assert (await served.client.get("/v1/sources/dates")).status_code == 404


async def test_names_and_methods(served: Door) -> None:
    for name in ("Dates", "9", "a b", "x" * 65, "a.b", "controller@"):
        answer = await served.client.put(f"/v1/sources/{name}", json=DATES)
        assert answer.status_code in (404, 422), (name, answer.text)
    for name in ("sheets", "closing", "controller", "submitter"):
        answer = await served.client.put(f"/v1/sources/{name}", json=DATES)
        assert answer.status_code == 409 and answer.json()["type"].endswith("/source-taken")
    assert (await served.client.delete("/v1/sources/sheets")).status_code == 409
    assert (await served.client.delete("/v1/sources/nobody")).status_code == 404
    answer = await served.client.post("/v1/sources/dates", json=DATES)
    assert answer.status_code == 405 and answer.headers["allow"] == "DELETE, GET, PUT"


async def test_bodies_that_are_no_json(served: Door) -> None:
    paths = ("/v1/activations/claim", "/v1/activations/a.1234567890/renew", "/v1/activations/a.1234567890/commits")
    for method, path in (("PUT", "/v1/sources/dates"), *(("POST", path) for path in paths)):
        for content, media, status in (
            (b"", "application/json", 400),
            (b"{", "application/json", 400),
            (b'{"a": NaN}', "application/json", 400),
            (b'{"a": 1, "a": 2}', "application/json", 400),
            (b"\xff", "application/json", 400),
            (b"[" * 1000, "application/json", 400),
            (b"{}", "text/plain", 415),
            (b"{}", "application/json", 422),
        ):
            answer = await served.client.request(method, path, content=content, headers={"Content-Type": media})
            assert answer.status_code == status, (path, content, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    big = b'{"text": "' + b"x" * (5 << 20) + b'"}'
    for method, path in (("PUT", "/v1/sources/dates"), *(("POST", path) for path in paths)):
        headers = {"Content-Type": "application/json"}
        answer = await served.client.request(method, path, content=big, headers=headers)
        assert answer.status_code == 413


async def test_who_else_holds_the_name_or_the_version(served: Door) -> None:
    assert (await served.put(registrant="lab")).status_code == 201
    answer = await served.put(registrant="other")
    assert answer.status_code == 409 and answer.json()["type"].endswith("/source-taken")
    changed = {**SCHEMA, "properties": {**SCHEMA["properties"], "more": {"type": "string"}}}  # type: ignore[dict-item]
    outputs = [{"level": "date_mention", "schema": changed}]
    answer = await served.put(registrant="lab", outputs=outputs)
    assert answer.status_code == 409 and answer.json()["type"].endswith("/version-taken")
    assert (await served.put(registrant="lab", priority=5)).json()["priority"] == 5, "no part of what results depend on"
    assert (await served.put(registrant="lab", outputs=outputs, version="2")).status_code == 200
    answer = await served.put("more_dates", registrant="lab")
    assert pointers(answer) == ["/outputs/0/schema"], "another source declares the level otherwise"
    assert (await served.put("more_dates", outputs=outputs)).status_code == 201
    answer = await served.put(registrant="lab", version="3")
    assert pointers(answer) == ["/outputs/0/schema"]


async def test_sources_may_read_each_other_but_not_in_a_circle(served: Door) -> None:
    assert (await served.put()).status_code == 201
    reads = [{"parameter": "dates", "kind": "all", "levels": ["date_mention"]}]
    year = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    assert (await served.put("years", inputs=reads, outputs=[{"level": "year", "schema": year}])).status_code == 201
    circle = [*DATES["inputs"], {"parameter": "years", "kind": "all", "levels": ["year"]}]
    assert pointers(await served.put(version="2", inputs=circle)) == ["/inputs"]
    board = await served.submit()
    for _ in range(3):
        await served.work(await served.task())
    task = await served.task("years")
    assert [entry["value"]["iso"] for entry in task["inputs"]["dates"]] == ["2024-03-01", "2025-06-30", "2026-01-15"]
    entries = [{"level": "year", "value": {"year": 2024}}]
    assert (await served.commit(task, 1, entries=entries, status="done")).status_code == 200
    assert (await served.ended(board))["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/sources"),
        ({"sources": []}, "/sources"),
        ({"sources": "dates"}, "/sources"),
        ({"sources": [7]}, "/sources/0"),
        ({"sources": ["dates", SECRET]}, "/sources/1"),
        ({"sources": ["sheets"]}, "/sources/0"),
        ({"sources": ["dates"], "wait_s": 31}, "/wait_s"),
        ({"sources": ["dates"], "wait_s": -1}, "/wait_s"),
        ({"sources": ["dates"], "wait_s": "1"}, "/wait_s"),
        ({"sources": ["dates"], "worker": "a|b"}, "/worker"),
        ({"sources": ["dates"], "worker": ""}, "/worker"),
        ({"sources": ["dates"], "secret": SECRET}, "/secret"),
        ({"sources": ["dates"] * 65}, "/sources"),
    ],
)
async def test_claims(served: Door, body: Any, where: str) -> None:
    await served.put()
    answer = await served.client.post("/v1/activations/claim", json=body)
    assert where in pointers(answer)


GOOD = {"iso": "2024-01-01", "page": 1}


def entry(**changes: Any) -> dict[str, Any]:
    """A commit with one entry that is good but for the changes."""
    return {"entries": [{"level": "date_mention", "value": GOOD, **changes}]}


BAD_COMMITS: list[tuple[dict[str, Any], str]] = [
    ({"n": 0, **entry()}, "/n"),
    ({"n": "1", **entry()}, "/n"),
    ({"n": 1.5, **entry()}, "/n"),
    ({"epoch": 0, **entry()}, "/epoch"),
    ({"epoch": None, **entry()}, "/epoch"),
    ({"board": 7, **entry()}, "/board"),
    ({"status": "running", **entry()}, "/status"),
    ({"entries": {}}, "/entries"),
    ({"entries": [7]}, "/entries/0"),
    ({"entries": [{"level": "date_mention"}]}, "/entries/0/value"),
    ({"entries": []}, "/entries"),
    ({"entries": [{"level": "date_mention", "value": GOOD}] * 1001}, "/entries"),
    ({"status": "released", **entry()}, "/entries"),
    ({"status": "failed"}, "/error"),
    ({"status": "done", "error": {"message": "x"}}, "/error"),
    ({"status": "failed", "error": {"message": ""}}, "/error/message"),
    ({"status": "failed", "error": {"message": "x", "permanent": "no"}}, "/error/permanent"),
    ({"status": "failed", "error": SECRET}, "/error"),
    ({"spent": {"usd": -1}, **entry()}, "/spent/usd"),
    ({"spent": {"tokens": 1.5}, **entry()}, "/spent/tokens"),
    ({"secret": SECRET, **entry()}, "/secret"),
    (entry(level="page"), "/entries/0/level"),
    (entry(level=SECRET), "/entries/0/level"),
    (entry(level=7), "/entries/0/level"),
    (entry(name="a/b"), "/entries/0/name"),
    (entry(name=""), "/entries/0/name"),
    (entry(name="x~dates"), "/entries/0/name"),
    (entry(name=7), "/entries/0/name"),
    (entry(confidence=1.5), "/entries/0/confidence"),
    (entry(confidence="1"), "/entries/0/confidence"),
    (entry(value=7), "/entries/0/value"),
    (entry(value={}), "/entries/0/value/iso"),
    (entry(value={**GOOD, "iso": SECRET}), "/entries/0/value/iso"),
    (entry(value={**GOOD, "page": "1"}), "/entries/0/value/page"),
    (entry(value={**GOOD, "page": True}), "/entries/0/value/page"),
    (entry(value={**GOOD, "page": 1.5}), "/entries/0/value/page"),
    (entry(value={**GOOD, "secret": SECRET}), "/entries/0/value/secret"),
    ({"entries": [{"level": "date_mention", "value": GOOD, "name": "a"}] * 2}, "/entries/1/name"),
]


async def test_commits(served: Door) -> None:
    """After each of them the activation is still the worker's, nothing is written, and the number is not used up."""
    await served.put(concurrency=1)
    board = await served.submit()
    task = await served.task()
    revision = (await served.board(board))["revision"]
    for body, where in BAD_COMMITS:
        answer = await served.commit(task, **{"n": 1, **body})
        assert where in pointers(answer), (body, answer.text)
    assert (await served.board(board))["revision"] == revision
    assert (await served.commit(task, 1, GOOD)).json()["entries"][0]["changed"]
    again = await served.commit(task, 2, entries=[{"level": "date_mention", "value": GOOD, "name": _last(task)}])
    assert pointers(again) == ["/entries/0/name"], "contributed already, by an earlier commit"
    assert (await served.commit(task, 2, status="done")).status_code == 200


def _last(task: dict[str, Any]) -> str:
    return f"{task['binding'].partition('/')[2]}-1"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"epoch": "1"}, "/epoch"),
        ({"epoch": -1}, "/epoch"),
        ({"board": None}, "/board"),
        ({"progress": 7}, "/progress"),
        ({"progress": {"done": -1, "total": 1}}, "/progress/done"),
        ({"progress": {"done": 1}}, "/progress/total"),
        ({"progress": {"done": 1, "total": 1, "note": "x" * 201}}, "/progress/note"),
        ({"secret": SECRET}, "/secret"),
    ],
)
async def test_renewals(served: Door, body: Any, where: str) -> None:
    await served.put()
    await served.submit()
    task = await served.task()
    assert where in pointers(await served.renew(task, **body))


async def test_activations_that_are_not_there_look_all_alike(served: Door) -> None:
    """Unknown ones, malformed ones, and those of sources that run here."""
    await served.put()
    board = await served.submit()
    task = await served.task()
    local = [
        item["id"]
        for item in (await served.client.get(f"/v1/boards/{board}/activations")).json()["items"]
        if item["source"] == "sheets"
    ]
    for activation in ("dates.0123456789", "dates", "..%2f..", "a%00b", "%ff", "x" * 300, *local):
        for verb, more in (("renew", {}), ("commits", {"n": 1, "status": "done"})):
            body = {"board": board, "epoch": 1, **more}
            answer = await served.client.post(f"/v1/activations/{activation}/{verb}", json=body)
            assert answer.status_code == 404, (activation, answer.text)
            assert answer.json()["type"].endswith("/not-found")
    for other in ("7-aaaaaaaaaaaaaaaaaaaaaaaaaa", "nonsense", "", "../.."):
        answer = await served.commit({**task, "board": other}, 1, GOOD)
        assert answer.status_code == 404


async def test_a_flood_is_refused_as_a_whole(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    task = await served.task()
    for n in range(1, 11):
        entries = [{"level": "date_mention", "value": GOOD} for _ in range(1000)]
        assert (await served.commit(task, n, entries=entries)).status_code == 200
    answer = await served.commit(task, 11, GOOD)
    assert pointers(answer) == ["/entries"]
    error = {"message": "too much", "permanent": True}
    assert (await served.commit(task, 11, status="failed", error=error)).status_code == 200
    assert len(await served.entries(board)) == 10_000


async def test_a_waiting_claim_ends_when_its_client_leaves(served: Door) -> None:
    """What comes afterwards is for somebody who is there."""
    await served.put()
    leaving = asyncio.create_task(served.claim(wait_s=30))
    await asyncio.sleep(0.2)
    leaving.cancel()
    await asyncio.wait([leaving])
    await asyncio.sleep(1.2)
    await served.submit()
    assert (await served.task())["epoch"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = ("string", "integer", "number", "array", "object", "boolean", "null")
WORDS = st.sampled_from([*sorted(KEYWORDS), *TYPES, "$defs", "title", "a", "b", "#/$defs/a", "#/$defs/b"])
SCHEMAS = st.recursive(
    WORDS | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(inner=SCHEMAS, definitions=SCHEMAS, value=JSON)
def test_no_schema_and_no_value_does_harm(inner: Any, definitions: Any, value: Any) -> None:
    """A schema is compiled or refused; a value that passes is kept as it can be read again."""
    schema = {"type": "object", "properties": {"a": inner, "b": {"$ref": "#/$defs/a"}}, "$defs": definitions}
    try:
        kind: type[Level] = level_of_schema("found", schema, ())
    except SchemaRefused as error:
        assert error.where == "" or error.where.startswith("/")
        return
    for given_value in (value, {"a": value}, {"a": value, "b": value}):
        try:
            kept = canonical({"found": kind}, "found", given_value)
        except InvalidValue:
            continue
        assert canonical({"found": kind}, "found", orjson.loads(kept)) == kept
