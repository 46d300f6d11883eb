"""Walks an OpenAPI document: requests that fit each operation, made of ids of our choosing. Knows no operation by name
but those whose requests cannot be told from the document alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Ids = Mapping[str, str]
METHODS = ("get", "put", "post", "delete", "patch")
PLACE = re.compile(r"\{(\w+)\}")
NAMED_SO = {
    "source": "source", "sources": "source", "shadow": "source", "board": "board", "boards": "board", "parent": "board",
    "level": "level", "goal": "level", "tenant": "tenant", "sha256": "sha256", "activation": "activation", "key": "key",
}  # fmt: skip
"""Members of bodies and query parameters -> what kind of id they hold."""
BODIES: Mapping[str, Callable[[Ids], Any]] = {
    "documents.submit": lambda ids: {"text": "x", "sources": ["sheets", ids["source"]], "goal": [ids["level"]]},
    "entries.put": lambda ids: {"iso": "2024-01-01", "page": 9},
    "boards.commit": lambda ids: {"writes": [{"key": f"{ids['level']}/9", "value": {"iso": "2024-01-01", "page": 9}}]},
    "activations.claim": lambda ids: {"sources": [ids["source"]], "wait_s": 0},
    "activations.renew": lambda ids: {"board": ids["board"], "epoch": 1},
    "activations.commit": lambda ids: {"board": ids["board"], "epoch": 1, "n": 1, "status": "released"},
    "webhooks.redeliver": lambda ids: {"delivery": ids["delivery"]},
    "sources.put": lambda ids: {
        "version": "1",
        "inputs": [{"parameter": "page", "kind": "each", "levels": ["page"]}],
        "outputs": [{"level": "page"}],
    },
}
"""Operations whose body is more than their schema tells."""
HEADERS: Mapping[str, Mapping[str, str]] = {
    "entries.put": {"If-None-Match": "*"},
    "entries.delete": {"If-Match": "*"},
}
MADE_BY: Mapping[str, str] = {"delivery": "webhooks.test"}
"""Kind of id -> the operation that makes one, where it is not the POST to its collection."""
KINDS: Mapping[tuple[str, str], str] = {("sources", "name"): "source"}
"""(what stands before it in the path, parameter) -> kind of id, where the parameter's name alone does not tell."""


@dataclass(frozen=True)
class Operation:
    """One operation of the document. `kinds`: place in its path -> kind of id."""

    id: str
    method: str
    path: str
    described: Mapping[str, Any]
    document: Mapping[str, Any] = field(repr=False)

    @property
    def kinds(self) -> dict[str, str]:
        """In the path's order."""
        found, before = {}, ""
        for part in self.path.strip("/").split("/"):
            for name in PLACE.findall(part):
                found[name] = KINDS.get((before, name), name)
            before = part
        return found

    @property
    def queries(self) -> dict[str, str]:
        """Query parameters that hold an id -> its kind."""
        given = self.described.get("parameters", ())
        return {
            each["name"]: NAMED_SO[each["name"]] for each in given if each["in"] == "query" and each["name"] in NAMED_SO
        }

    @property
    def streams(self) -> bool:
        """Whether its answer may go on for ever."""
        return any(
            "text/event-stream" in answer.get("content", {}) for answer in self.described.get("responses", {}).values()
        )

    def body_kinds(self) -> set[str]:
        """The kinds of ids that its body holds."""
        asked: set[str] = set()

        class Noting(dict[str, str]):
            def __missing__(self, kind: str) -> str:
                asked.add(kind)
                return f"no-{kind}"

        self.body(Noting())
        return asked

    def request(self, ids: Ids, **query: str) -> Request:
        """With these ids in path and body. `query`: parameters with their values."""
        path = self.path
        for name, kind in self.kinds.items():
            path = path.replace(f"{{{name}}}", ids[kind])
        return Request(self.method, path, query, self.body(ids), dict(HEADERS.get(self.id, {})))

    def body(self, ids: Ids) -> Any:
        """What its schema tells a body to be; None where it takes none."""
        if self.id in BODIES:
            return BODIES[self.id](ids)
        content = self.described.get("requestBody", {}).get("content", {})
        if "application/json" not in content or not self.described["requestBody"].get("required"):
            return None
        return self._instance(content["application/json"]["schema"], ids, "")

    def _instance(self, schema: Mapping[str, Any], ids: Ids, name: str) -> Any:
        while "$ref" in schema:
            target: Any = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = target
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self._instance(next(each for each in schema[word] if each.get("type") != "null"), ids, name)
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        kind = schema.get("type")
        if kind == "object":
            members = schema.get("properties", {})
            wanted = [each for each in members if each in schema.get("required", ()) or each in NAMED_SO]
            return {each: self._instance(members[each], ids, each) for each in wanted}
        if kind == "array":
            wanted = max(schema.get("minItems", 0), name in NAMED_SO)
            return [self._instance(schema["items"], ids, name) for _ in range(wanted)]
        if kind == "string":
            return self._text(schema, ids, name)
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        return False if kind == "boolean" else {}

    def _text(self, schema: Mapping[str, Any], ids: Ids, name: str) -> str:
        if name in NAMED_SO:
            return ids[NAMED_SO[name]]
        if "url" in name or schema.get("format") == "uri":
            return "https://receiver.example/hook"
        examples = schema.get("examples")
        return str(examples[0]) if examples else "x" * max(1, schema.get("minLength", 1))


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]

    def asking(self, **query: str) -> Request:
        """The same with more parameters."""
        return replace(self, query={**self.query, **query})


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """All of them."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(item[method]["operationId"], method.upper(), path, item[method], document)


def unlike(id: str) -> str:
    """An id of the same form that nobody has."""
    last = next(sign for sign in reversed(id) if sign.isalnum() and sign != id[-1])
    return id[:-1] + last
