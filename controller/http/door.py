"""What every resource needs of the process it runs in, and of a request: the service, the caller, strict parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

import orjson
from fastapi import Path, Request
from opentelemetry.trace import TracerProvider
from starlette.responses import Response

from blackboard.contract import Source
from blackboard.errors import BoardGone
from blackboard.feed import Feed
from blackboard.ports import Store
from blackboard.registry import Broken
from controller.access import ANYBODY, Caller, Gate
from controller.accounts import Accounts
from controller.condition import Condition
from controller.desk import Desk
from controller.erasure import Eraser
from controller.http.problems import Problem
from controller.keyring import Keyring
from controller.load import Load
from controller.metrics import Deciding, Metrics, Working
from controller.remote.directory import Directory
from controller.remote.work import Work
from controller.settings import Settings
from controller.streams import Streams
from controller.views import BoardView
from controller.webhooks.registry import Webhooks

T = TypeVar("T")

BoardId = Annotated[str, Path(description="A board's id.", examples=["7-k3v2aqkq4f4xw5jq6nqzvtn3ma"])]
LevelName = Annotated[str, Path(description="A level, such as `page`.", examples=["page"])]
EntryName = Annotated[str, Path(description="A name within its level; a rival's ends in `~source`.", examples=["0001"])]

WHOLE = re.compile(r"(0|[1-9][0-9]{0,14})\Z", re.ASCII)


class BlobStore(Protocol):
    """The part of the blob store that uploads and health checks need."""

    async def put_stream(self, chunks: Any, limit: int) -> tuple[str, int]:
        """Keep what a stream yields; SHA-256 and size."""

    async def get(self, sha256: str) -> bytes:
        """A blob's bytes."""

    async def has(self, sha256: str) -> bool:
        """Whether a blob is there."""


class Api(Protocol):
    """What a process must offer to be served over HTTP."""

    @property
    def store(self) -> Store: ...
    @property
    def blobs(self) -> BlobStore: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def sources(self) -> Sequence[Source]: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def work(self) -> Work: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def condition(self) -> Condition: ...
    @property
    def gate(self) -> Gate: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def load(self) -> Load: ...
    @property
    def eraser(self) -> Eraser: ...
    @property
    def streams(self) -> Streams: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def traces(self) -> TracerProvider | None:
        """What spans are made by; None: nobody wants any."""

    @property
    def controller(self) -> Deciding | None: ...
    @property
    def worker(self) -> Working | None: ...
    @property
    def settings(self) -> Settings: ...
    async def scripts(self) -> Sequence[str]:
        """Names of scripts that the servers do not have and would not take."""

    @property
    def broken(self) -> Sequence[Broken]:
        """Plug-ins that could not be loaded."""

    async def why(self, board: str) -> Sequence[Any] | None:
        """Why each source acted or did not; None for an unknown board."""


def api_of(request: Request) -> Api:
    """The service behind the app."""
    return request.app.state.api  # type: ignore[no-any-return]


def caller_of(request: Request) -> Caller:
    """Who asks, as the gate found; what is open to all is asked by nobody in particular."""
    return request.scope.get("caller", ANYBODY)  # type: ignore[no-any-return]


async def board_of(request: Request, board: str) -> BoardView:
    """The caller's board. Raises the one `not-found` for ids that are malformed, unknown or another tenant's."""
    try:
        return await api_of(request).desk.view(board, tenant=caller_of(request).tenant)
    except BoardGone:
        raise Problem("not-found") from None


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON. Nothing here may be kept by caches that do not ask again."""
    return Response(orjson.dumps(content), status, {"Cache-Control": "no-cache", **(headers or {})}, "application/json")


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Generic[T]):
    """One query parameter: how it is read, and how OpenAPI describes it. `read` raises ValueError for other words."""

    name: str
    read: Callable[[str], T]
    default: T
    schema: Mapping[str, Any]
    description: str


class Given:
    """The query parameters of one request."""

    def __init__(self, values: dict[Parameter[Any], Any]) -> None:
        self._values = values

    def __getitem__(self, parameter: Parameter[T]) -> T:
        return self._values.get(parameter, parameter.default)  # type: ignore[no-any-return]


def query(request: Request, *known: Parameter[Any]) -> Given:
    """Raises Problem invalid-parameter for one that is unknown, given twice, or off; names it only if it is known."""
    raw: bytes = request.scope["query_string"]
    if not raw:
        return Given({})
    named = {parameter.name: parameter for parameter in known}
    values: dict[Parameter[Any], Any] = {}
    for name, text in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="replace"):
        parameter = named.get(name)
        if parameter is None:
            allowed = ", ".join(sorted(named)) or "none"
            raise Problem("invalid-parameter", f"A query parameter is unknown; there are: {allowed}.")
        if parameter in values:
            raise Problem("invalid-parameter", "A query parameter was given twice.", parameter=name)
        try:
            values[parameter] = parameter.read(text)
        except ValueError as error:
            raise Problem("invalid-parameter", f"`{name}` {error}.", parameter=name) from None
    return Given(values)


def documented(*known: Parameter[Any], required: str = "", **more: Any) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes these. `required`: the one that must be given, if there is any."""
    parameters = [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.name == required,
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }
        for parameter in known
    ]
    return {**({"parameters": parameters} if parameters else {}), **more}


def with_headers(extra: dict[str, Any], *headers: Mapping[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads these headers, too."""
    return {**extra, "parameters": [*extra.get("parameters", ()), *headers]}


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers, written as people write them."""

    def read(text: str) -> int:
        if not WHOLE.match(text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def truth(text: str) -> bool:
    """`true` or `false`."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def words(pattern: re.Pattern[str], meaning: str) -> Callable[[str], str]:
    """A reader of text that must match."""

    def read(text: str) -> str:
        if not pattern.match(text):
            raise ValueError(f"must be {meaning}")
        return text

    return read


def ecma(pattern: re.Pattern[str]) -> str:
    """A pattern of whole words as JSON Schema writes it."""
    return f"^{pattern.pattern.removesuffix(chr(92) + 'Z')}$"


def flag(name: str, description: str, *, default: bool = False) -> Parameter[bool]:
    """A parameter that is `true` or `false`."""
    return Parameter(name, truth, default, {"type": "boolean", "default": default}, description)
