"""The OpenAPI document: valid, whole, true to what is enforced, and fit for a generator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson
import pytest
import schemathesis

from blackboard.blobs import Blobs
from blackboard.memory import MemoryStore
from controller.http.app import create_app
from controller.http.examples import ANSWERS, REQUESTS
from controller.http.openapi import operations
from controller.http.problems import CATALOGUE, MEDIA_TYPE
from controller.http.scopes import NEEDS, OPEN
from controller.settings import Settings
from tests.integration.serving import Small

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PROBLEM = {"$ref": "#/components/schemas/Problem"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of a service; nothing is asked of it."""
    store = MemoryStore(Blobs.at("memory://"))
    return create_app(Small(store, store.blobs, Settings(_env_file=None))).openapi()  # type: ignore[call-arg]


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What a reference within the document refers to."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


class Checker:
    """Holds values against the schemas of a document, each of which is compiled once."""

    def __init__(self, document: dict[str, Any]) -> None:
        resource = {"$id": "urn:api", "$schema": DIALECT, "components": document["components"]}
        self._registry = jsonschema_rs.Registry([("urn:api", resource)])
        self._made: dict[bytes, Any] = {}

    def fits(self, schema: Any, value: Any) -> None:
        """Raises jsonschema_rs.ValidationError."""
        text = orjson.dumps(schema).replace(b'"#/components', b'"urn:api#/components')
        if text not in self._made:
            whole = {"$schema": DIALECT, **orjson.loads(text)}
            self._made[text] = jsonschema_rs.Draft202012Validator(whole, registry=self._registry)
        self._made[text].validate(value)


@pytest.fixture(scope="module")
def checker(document: dict[str, Any]) -> Checker:
    """For the one document."""
    return Checker(document)


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({"$schema": DIALECT, **schema}), name
    for reference in references(document):
        resolve(document, reference)
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    assert document["servers"]


def test_nothing_in_it_is_left_over(document: dict[str, Any]) -> None:
    """A name that nothing refers to would be a class that nobody needs. The union of events is for readers of lines."""
    used = set(references({"paths": document["paths"], "webhooks": document["webhooks"]}))
    queue = list(used)
    while queue:
        found = set(references(resolve(document, queue.pop()))) - used
        used |= found
        queue.extend(found)
    named = {f"#/components/{kind}/{name}" for kind in ("schemas", "examples") for name in document["components"][kind]}
    assert named <= used


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert set(ids) == (NEEDS.keys() | OPEN) - {"problems.explain"}
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    for operation in operations(document):
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", operation["operationId"])
        assert operation["summary"] and operation["description"]
        assert operation["tags"] and described.keys() >= set(operation["tags"])
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (operation["operationId"], parameter["name"])
            assert parameter["schema"]


def test_every_operation_says_what_it_needs(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for operation in operations(document):
        needed = NEEDS.get(operation["operationId"])
        assert operation.get("security") == ([{"key": [needed]}] if needed else None)


def test_problems_stand_on_every_operation(document: dict[str, Any]) -> None:
    for operation in operations(document):
        responses = operation["responses"]
        expected = {"400", "408", "414", "431", "500", "503"}
        if operation["operationId"] in NEEDS:
            expected |= {"401", "403", "404", "429"}
        if "requestBody" in operation:
            expected |= {"413", "415", "422"}
        assert responses.keys() >= expected, (operation["operationId"], expected - responses.keys())
        for status, answer in responses.items():
            if int(status) < 400:
                continue
            content = answer["content"][MEDIA_TYPE]
            assert content["schema"] == PROBLEM
            for slug in content["examples"]:
                assert CATALOGUE[slug].status == int(status)
                assert f"`{slug}`" in answer["description"]


def test_headers_of_answers(document: dict[str, Any]) -> None:
    by_id = {operation["operationId"]: operation["responses"] for operation in operations(document)}
    for id, status, name in [
        ("documents.submit", "202", "Location"), ("documents.submit", "202", "ETag"), ("boards.get", "200", "ETag"),
        ("boards.get", "304", "ETag"), ("boards.list", "200", "Link"), ("boards.list", "429", "Retry-After"),
        ("boards.list", "200", "RateLimit"), ("boards.list", "401", "WWW-Authenticate"), ("entries.put", "201", "ETag"),
        ("entries.put", "412", "ETag"), ("entries.put", "503", "Retry-After"), ("health.live", "200", "X-Request-ID"),
    ]:  # fmt: skip
        assert by_id[id][status]["headers"][name] == {"$ref": f"#/components/headers/{name}"}, (id, status, name)


def test_examples_are_what_they_are_examples_of(document: dict[str, Any], checker: Checker) -> None:
    for slug, example in document["components"]["examples"].items():
        checker.fits(PROBLEM, example["value"])
        assert example["value"]["type"].endswith(f"/{slug}")
    for operation in operations(document):
        id = operation["operationId"]
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            assert content["examples"], (id, media)
            for example in content["examples"].values():
                checker.fits(content["schema"], example["value"])
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is not None:
                assert "example" in content, (id, status)
                checker.fits(content["schema"], content["example"])


def test_no_example_is_of_what_is_not_there(document: dict[str, Any]) -> None:
    by_id = {operation["operationId"]: operation for operation in operations(document)}
    for id, answers in ANSWERS.items():
        assert by_id[id]["responses"].keys() >= {str(status) for status in answers}, id
    for id, examples in REQUESTS.items():
        assert by_id[id]["requestBody"]["content"].keys() >= examples.keys(), id


def test_webhooks(document: dict[str, Any], checker: Checker) -> None:
    assert {"board.created", "board.completed", "board.failed", "board.cancelled", "webhook.test"} <= (
        document["webhooks"].keys()
    )
    for kind, told in document["webhooks"].items():
        content = told["post"]["requestBody"]["content"]["application/json"]
        checker.fits(content["schema"], content["example"])
        assert content["example"]["type"] == kind
        assert {parameter["name"] for parameter in told["post"]["parameters"]} == {
            "webhook-id", "webhook-timestamp", "webhook-signature",
        }  # fmt: skip


def test_the_union_of_events(document: dict[str, Any]) -> None:
    union = document["components"]["schemas"]["BoardEvent"]
    mapping = union["discriminator"]["mapping"]
    assert mapping["board.completed"] == "#/components/schemas/BoardCompletedEvent"
    assert sorted(option["$ref"] for option in union["oneOf"]) == sorted(mapping.values())


def test_asking_for_it_twice_changes_nothing() -> None:
    store = MemoryStore(Blobs.at("memory://"))
    app = create_app(Small(store, store.blobs, Settings(_env_file=None)))  # type: ignore[call-arg]
    assert app.openapi() == app.openapi()
