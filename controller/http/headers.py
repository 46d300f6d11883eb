"""Header fields of answers: what each means, and which answer may carry which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STRING: Final = {"type": "string"}
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Request-ID": {"description": "Finds this request in the log.", "schema": STRING},
    "ETag": {
        "description": "A version: of the board its revision, of an entry its version. For `If-None-Match` and `If-Match`.",
        "schema": {"type": "string", "examples": ['"12"']},
    },
    "Location": {"description": "Where what was made is.", "schema": {"type": "string", "format": "uri-reference"}},
    "Link": {
        "description": 'The next page, with `rel="next"`.',
        "schema": {"type": "string", "examples": ['</v1/boards?limit=50&cursor=abc>; rel="next"']},
    },
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {
        "description": "How to say who you are.",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
    "Accept-Post": {"description": "Media types that are read here.", "schema": STRING},
    "Accept-Encoding": {"description": "`identity`: bodies are read without any coding.", "schema": STRING},
    "RateLimit": {
        "description": "What is left of the key's requests (`r`), and seconds until there are more (`t`).",
        "schema": {"type": "string", "examples": ['"default";r=50;t=30']},
    },
    "RateLimit-Policy": {
        "description": "How many requests (`q`) there may be in how many seconds (`w`).",
        "schema": {"type": "string", "examples": ['"default";q=600;w=60']},
    },
}
LOCATED: Final = frozenset({"201", "202"})
VERSIONED: Final = frozenset(
    {
        "documents.submit",
        "boards.cancel",
        "boards.approve",
        "boards.retry",
        "boards.backfill",
        "boards.commit",
        "boards.fork",
    }
)
"""Operations that answer a board with its tag, and cannot be asked for a change of it alone."""


def headers_of(operation: Mapping[str, Any], status: str) -> dict[str, dict[str, str]]:
    """References to the header fields that an operation's answer of this status may carry."""
    id, responses, good = operation["operationId"], operation["responses"], status[0] in "23"
    tagged = "304" in responses or id in VERSIONED or "412" in responses
    paged = any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ()))
    found = {
        "X-Request-ID": True,
        "ETag": (tagged and good and status != "204") or status == "412",
        "Location": good and status in LOCATED,
        "Link": status == "200" and paged,
        "Retry-After": status in ("409", "429", "503") or (id == "documents.submit" and status == "202"),
        "WWW-Authenticate": status == "401",
        "Accept-Post": status == "415",
        "Accept-Encoding": status == "415",
        "RateLimit": "security" in operation,
        "RateLimit-Policy": "security" in operation,
    }
    return {name: {"$ref": f"#/components/headers/{name}"} for name, there in found.items() if there}
