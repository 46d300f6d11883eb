"""One request and how its answer is read: what the clients that wait and the one that does not have in common. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import orjson

from blackboard.errors import ServiceError

T = TypeVar("T")
SAFE: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Raises ServiceError when it is no JSON."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise ServiceError("the answer is not JSON", hint="is the address that of this service?") from error

    def object(self) -> dict[str, Any]:
        """A JSON object. Raises ServiceError."""
        found = self.json()
        if not isinstance(found, dict):
            raise ServiceError("the answer is not an object", hint="is the address that of this service?")
        return found

    def nothing(self) -> None:
        """What an answer without content says."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as multipart/form-data, read anew for each try."""

    source: Path | bytes
    filename: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request to the service's own address. `path` is quoted already; `params` without those that are None or ""."""

    method: str
    path: str
    read: Callable[[Answer], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    upload: Upload | None = None
    noun: str = "board"
    """What a 404 says there is none of."""
    key: str = ""
    """The entry that is written."""
    harmless: bool = False
    """Whether sending it twice does what sending it once does, though it is no GET."""
    wait_s: float = 0.0
    """How much longer than usual the answer may take."""

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows what became of it."""
        return self.harmless or self.method in SAFE

    @property
    def query(self) -> dict[str, str]:
        """The parameters as they are sent."""
        shown: dict[str, str] = {}
        for name, value in self.params.items():
            if isinstance(value, bool):
                shown[name] = "true" if value else "false"
            elif isinstance(value, list | tuple):
                shown |= {name: ",".join(map(str, value))} if value else {}
            elif value is not None and value != "":
                shown[name] = str(value)
        return shown

    @property
    def sent_headers(self) -> dict[str, str]:
        """Its headers, with the body's type."""
        typed = {"content-type": "application/json"} if self.body is not None else {}
        return {"accept": "application/json", **typed, **self.headers}

    def past(self, cursor: str) -> Call[T]:
        """The same of the page behind a cursor."""
        return replace(self, params={**self.params, "cursor": cursor})


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """One page of a listing."""

    items: list[T]
    next_cursor: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def path_of(*words: str) -> str:
    """`/v1/` and the words, each made fit for a path."""
    return "/v1/" + "/".join(quote(word, safe="") for word in words)


def json_body(value: Any) -> bytes:
    """Raises TypeError for what is no JSON."""
    return orjson.dumps(value)


def page_of(make: Callable[[Mapping[str, Any]], T]) -> Callable[[Answer], Paged[T]]:
    """A reader of a page."""

    def read(answer: Answer) -> Paged[T]:
        found = answer.object()
        return Paged([make(each) for each in found.get("items", ())], str(found.get("next_cursor") or ""), found)

    return read
