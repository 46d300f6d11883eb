"""The OpenAPI document: what holds for every operation is said here once, and not again at each route.

A route says what it takes, answers and refuses of its own; security, scopes, limits, the problems any request may meet,
headers of answers, examples, events and webhooks are added to what FastAPI makes of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from blackboard.events import TYPES
from controller.http import events
from controller.http.commits import PersonCommitRequest
from controller.http.examples import ANSWERS, REQUESTS, message
from controller.http.following import links_of
from controller.http.headers import HEADERS, headers_of
from controller.http.key_models import KeyRequest, RotateRequest
from controller.http.models import (
    FileDocument,
    ForkOptions,
    NoOptions,
    Problem,
    RetryOptions,
    TextDocument,
    UrlDocument,
)
from controller.http.problems import CATALOGUE, MEDIA_TYPE
from controller.http.scopes import NEEDS
from controller.http.tags import TAGS
from controller.http.webhook_models import (
    NewWebhook,
    RedeliverOptions,
    RotateOptions,
    WebhookChange,
    WebhookMessage,
    openapi_webhooks,
)
from controller.remote.declaration import Declaration
from controller.remote.requests import ClaimRequest, CommitRequest, RenewRequest

MODELS: Final[tuple[type[BaseModel], ...]] = (
    Problem, TextDocument, UrlDocument, FileDocument, RetryOptions, NoOptions, Declaration, ClaimRequest, RenewRequest,
    CommitRequest, KeyRequest, RotateRequest, NewWebhook, WebhookChange, RotateOptions, RedeliverOptions, WebhookMessage,
    PersonCommitRequest, ForkOptions,
)  # fmt: skip
ANY: Final = (
    "bad-request", "request-timeout", "uri-too-long", "header-fields-too-large", "internal-error", "too-many-connections",
)  # fmt: skip
"""What any request may meet."""
GUARDED: Final = ("unauthorized", "forbidden", "rate-limited", "storage-unavailable", "storage-full")
"""And one that needs a key."""
TAKING: Final = (
    "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "validation-error", "invalid-json",
    "invalid-encoding", "invalid-unicode", "duplicate-member", "json-too-deep",
)  # fmt: skip
"""And one with a body."""
ORDER: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LINES: Final = frozenset({"text/event-stream", "application/jsonl", "application/x-ndjson"})
"""Media types of which OpenAPI 3.1 can only describe one item: as `x-itemSchema`, which is `itemSchema` in 3.2."""
SLUG: Final = re.compile(r"`([a-z0-9-]+)`: ")


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, changed in place; doing it again changes nothing."""
    components = document.setdefault("components", {})
    if "securitySchemes" in components:
        return document
    schemas = components.setdefault("schemas", {})
    for model in MODELS:
        _add(schemas, model)
    schemas.update(events.event_schema(sorted((*TYPES, "board.snapshot", "reset"))))
    # FastAPI's own shape of errors is never answered.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key. Each operation names the scope it needs of it. A service on which no key was made "
            "yet listens on its own machine alone, and asks for none.",
        }
    }
    components["headers"] = {name: dict(header) for name, header in HEADERS.items()}
    there = frozenset(operation["operationId"] for operation in operations(document))
    for operation in operations(document):
        _complete(operation)
        for status, answer in operation["responses"].items():
            if status in ("200", "201", "202") and (links := links_of(operation["operationId"], there)):
                answer["links"] = links
    document["webhooks"] = openapi_webhooks()
    for kind, told in document["webhooks"].items():
        told["post"]["requestBody"]["content"]["application/json"]["example"] = message(kind)
    named = sorted({slug for operation in operations(document) for slug in _slugs(operation)})
    components["examples"] = {slug: _problem_example(slug) for slug in named}
    document["servers"] = [{"url": "/", "description": "The service that answers this document."}]
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in _used(document)]
    return document


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a document's paths."""
    for path in document["paths"].values():
        yield from (path[method] for method in ORDER if method in path)


def _add(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    described_ = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(described_.pop("$defs", {}))
    schemas[model.__name__] = described_


def _complete(operation: dict[str, Any]) -> None:
    id, responses = operation["operationId"], operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    needed = NEEDS.get(id)
    if needed is not None:
        operation["security"] = [{"key": [needed]}]
        operation["description"] = f"{operation.get('description', '').strip()}\n\nScope: `{needed}`.".strip()
    body = operation.get("requestBody")
    _refuse(responses, (*ANY, *(GUARDED if needed else ()), *(TAKING if body else ())))
    for status, answer in responses.items():
        answer["headers"] = headers_of(operation, status) | answer.get("headers", {})
        if len(answer.get("content", {})) > 1 and answer["content"].get("application/json") == {"schema": {}}:
            del answer["content"]["application/json"]  # FastAPI's guess where a route answers something else
        for media, content in answer.get("content", {}).items():
            _itemise(media, content)
            if media == MEDIA_TYPE:
                content["examples"] = {slug: _reference(slug) for slug in SLUG.findall(answer["description"])}
            elif (example := ANSWERS.get(id, {}).get(int(status))) is not None:
                content["example"] = example
    for media, examples in REQUESTS.get(id, {}).items():
        if body and media in body["content"]:
            body["content"][media]["examples"] = {name: {"value": value} for name, value in examples.items()}
    operation["responses"] = dict(sorted(responses.items()))


def _refuse(responses: dict[str, Any], slugs: Iterable[str]) -> None:
    """Add problems to those that an operation names itself."""
    for slug in slugs:
        kind = CATALOGUE[slug]
        answer = responses.setdefault(str(kind.status), {"description": ""})
        if f"`{slug}`" not in answer["description"]:
            answer["description"] = "; ".join(filter(None, (answer["description"], f"`{slug}`: {kind.about}")))
        answer.setdefault("content", {}).setdefault(MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/Problem"}})


def _itemise(media: str, content: dict[str, Any]) -> None:
    if media not in LINES or "x-itemSchema" in content:
        return
    item = content.pop("itemSchema", None) or content.get("schema")
    content["schema"] = {"type": "string"}
    if item and item != {"type": "string"}:
        content["x-itemSchema"] = item


def _slugs(operation: Mapping[str, Any]) -> Iterator[str]:
    for answer in operation["responses"].values():
        if MEDIA_TYPE in answer.get("content", {}):
            yield from answer["content"][MEDIA_TYPE]["examples"]


def _reference(slug: str) -> dict[str, str]:
    return {"$ref": f"#/components/examples/{slug}"}


def _problem_example(slug: str) -> dict[str, Any]:
    kind, id = CATALOGUE[slug], "5bd27e0d5c0fb2ad12f1c4a7"
    shown = {
        "type": f"https://blackboard.example/problems/{slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.about,
        "request_id": id,
    }
    return {"summary": kind.title, "value": shown if kind.status == 404 else shown | {"instance": f"urn:request:{id}"}}


def _used(document: Mapping[str, Any]) -> set[str]:
    return {tag for operation in operations(document) for tag in operation.get("tags", ())}
