"""Every error as an RFC 9457 problem: the catalogue, the exception, and how other errors become one.

A problem never repeats what was sent. `type` resolves to a page of this service that explains it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from blackboard.errors import (
    AccessError,
    BlackboardError,
    BoardClosed,
    BoardGone,
    ConflictError,
    ContractError,
    LimitReached,
    LogError,
    NotDurable,
    StorageError,
    StorageFull,
    Unauthorized,
    UsageError,
)
from controller.values import EntryConflict, InvalidValue

MEDIA_TYPE = "application/problem+json"
HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?\Z")

LINGER_S = 2.0
LINGER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, and what it says when nothing more is known."""

    status: int
    title: str
    about: str


CATALOGUE: Mapping[str, Kind] = {
    "bad-request": Kind(400, "Bad request", "The request could not be understood."),
    "invalid-json": Kind(400, "Not JSON", "The body must be one JSON value as RFC 8259 defines it."),
    "invalid-encoding": Kind(400, "Not UTF-8", "Text must be UTF-8, without a byte order mark."),
    "invalid-unicode": Kind(400, "Unusable characters", "Text holds a NUL character or half of a surrogate pair."),
    "duplicate-member": Kind(400, "Member given twice", "An object of the body has two members of the same name."),
    "json-too-deep": Kind(400, "JSON nested too deeply", "The body is nested more than 64 levels deep."),
    "invalid-multipart": Kind(400, "Not multipart/form-data", "The body's parts, or its boundary, are malformed."),
    "invalid-parameter": Kind(
        400, "Invalid query parameter", "A query parameter is unknown, given twice, or has no such value."
    ),
    "invalid-header": Kind(400, "Invalid header", "A header field has no value this service can read."),
    "invalid-last-event-id": Kind(
        400, "Invalid Last-Event-ID", "It must be an id this stream gave: `<incarnation>.<revision>-<n>`."
    ),
    "idempotency-key-invalid": Kind(
        400, "Invalid Idempotency-Key", 'It is given once, as a quoted string of 1 to 255 characters: "8e03978e-40d5".'
    ),
    "unauthorized": Kind(401, "Unauthorized", "Send a valid key: `Authorization: Bearer <key>`."),
    "forbidden": Kind(403, "Forbidden", "The key is valid, but its scopes do not allow this."),
    "origin-not-allowed": Kind(
        403, "Not from a web page", "Without keys this service takes nothing that another site's page sends."
    ),
    "host-not-allowed": Kind(
        421, "Not this service's name", "Without keys this service answers to localhost and loopback addresses alone."
    ),
    "not-found": Kind(404, "Not found", "There is nothing here, or it is not yours."),
    "method-not-allowed": Kind(405, "Method not allowed", "The header Allow lists what can be done here."),
    "request-timeout": Kind(408, "Request timeout", "The request came too slowly, or not to its end."),
    "idempotency-in-progress": Kind(
        409, "The first request is under way", "A request with this Idempotency-Key is being answered right now."
    ),
    "key-exists": Kind(409, "The key exists", "A key of that name is in use; rotate or revoke it, or choose a name."),
    "key-ended": Kind(409, "The key has ended", "It was revoked or has expired; create another."),
    "too-many-keys": Kind(409, "Too many keys", "The tenant can have no more keys; those that ended leave in time."),
    "webhook-exists": Kind(409, "The webhook exists", "There is a webhook for this address already."),
    "too-many-webhooks": Kind(409, "Too many webhooks", "There are as many as there may be; delete one first."),
    "report-not-ready": Kind(
        409, "The report is not ready", "The board is still open. `?partial=true` answers what there is by now."
    ),
    "no-report": Kind(409, "There is no report", "The board ended without one. `?partial=true` answers what there is."),
    "board-ended": Kind(
        409, "The board has ended", "A board that has ended never changes again. Retrying it makes a new board."
    ),
    "nothing-to-retry": Kind(409, "Nothing to retry", "No activation of this open board has failed for good."),
    "source-present": Kind(
        409, "The source is on the board", "It is there already, in the version there is. Retrying runs what failed."
    ),
    "conflict": Kind(409, "Conflict", "What was checked no longer held."),
    "fenced": Kind(409, "Not yours any more", "The activation is another worker's by now, or it has ended."),
    "cancelled": Kind(409, "Cancelled", "The activation was cancelled, or its board has ended: stop working on it."),
    "out-of-order": Kind(409, "Out of order", "An activation's commits are numbered 1, 2, 3..., one after the other."),
    "source-taken": Kind(
        409, "The name is taken", "A source of that name is installed here, or is another registrant's."
    ),
    "version-taken": Kind(
        409, "The version is taken", "It was declared with other inputs or outputs; give the changed source a new one."
    ),
    "too-many-sources": Kind(409, "Too many sources", "No more sources can be registered; unregister one first."),
    "precondition-failed": Kind(
        412, "Precondition failed", "The entry is not at the version the request asked for; read it again."
    ),
    "content-too-large": Kind(413, "Content too large", "The body is larger than this service accepts."),
    "uri-too-long": Kind(414, "URI too long", "The request's target is longer than this service reads."),
    "unsupported-media-type": Kind(
        415, "Unsupported media type", "The header Accept-Post or Accept says what is read."
    ),
    "unsupported-content-encoding": Kind(415, "Unsupported content encoding", "Send the body without any coding."),
    "media-type-mismatch": Kind(
        415, "Content is not what it is declared to be", "The file's first bytes contradict its declared type."
    ),
    "validation-error": Kind(422, "Invalid content", "The body is well formed, but not what is expected here."),
    "invalid-filename": Kind(
        422,
        "Invalid file name",
        "A file name may hold no slash, backslash, `..` or control character, and at most 255 bytes.",
    ),
    "invalid-key": Kind(422, "Invalid entry", "The level or the name of the entry breaks the grammar of keys."),
    "idempotency-key-reused": Kind(
        422, "Idempotency-Key used before", "Another request was made with this Idempotency-Key; take a new one."
    ),
    "url-not-allowed": Kind(
        422, "Address not allowed", "This service goes to public https addresses alone, on the ports 443 and 8443."
    ),
    "document-unsafe": Kind(422, "Unsafe document", "The text declares XML entities, which are refused on sight."),
    "precondition-required": Kind(
        428, "Precondition required", "Say which version you change: `If-Match`, or `If-None-Match: *` for a new entry."
    ),
    "too-many-streams": Kind(429, "Too many streams", "There are as many streams open as there may be."),
    "rate-limited": Kind(429, "Too many requests", "`Retry-After` says when to go on."),
    "too-many-boards": Kind(
        429, "Too many boards under way", "There are as many as you may have; some must end first."
    ),
    "budget-exhausted": Kind(429, "Budget used up", "The day's tokens or money are used up."),
    "header-fields-too-large": Kind(
        431, "Header fields too large", "The request's header is longer than this service reads."
    ),
    "document-unreadable": Kind(422, "Unreadable document", "It is encrypted, corrupt, empty or of no known type."),
    "document-too-complex": Kind(422, "Document too complex", "It is over a limit, or it kills its parser."),
    "source-unfit": Kind(422, "The source does not fit", "With the board's other sources it would wait for itself."),
    "source-failed": Kind(422, "A source failed", "A knowledge source that the analysis requires failed for good."),
    "deadline": Kind(422, "Deadline passed", "The deadline passed before anything was contributed."),
    "empty": Kind(422, "Nothing was contributed", "No source contributed anything to the goal."),
    "internal-error": Kind(500, "Internal error", "Something is wrong here; the request id finds it in the log."),
    "storage-unavailable": Kind(503, "Storage unavailable", "The storage cannot be reached; try again shortly."),
    "storage-full": Kind(503, "Storage full", "The storage has no room left; nothing was changed."),
    "overloaded": Kind(503, "Overloaded", "More documents wait for work than this service takes on; try again later."),
    "not-durable": Kind(503, "Not durable", "The write could not be confirmed as durable; send it again."),
    "too-many-connections": Kind(
        503, "Too many connections", "This process has as many connections open as it takes; try again shortly."
    ),
    "stopping": Kind(503, "Stopping", "This process is stopping; try again and another will answer."),
}
"""Slug -> kind. Slugs are stable."""


class Problem(Exception):
    """An answer that is an error. `more` are extension members; `errors` are (JSON pointer, detail) pairs."""

    def __init__(
        self,
        slug: str,
        detail: str = "",
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(slug)
        self.slug = slug
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.more = more


def request_id(request: Request) -> str:
    """The id every answer to this request carries."""
    return str(request.scope.get("request_id", ""))


def render(request: Request, problem: Problem) -> Response:
    """The answer. That nothing is found says nothing else: not even `instance`, so that all such answers are alike."""
    kind = CATALOGUE[problem.slug]
    host = request.headers.get("host", "")
    origin = f"{request.url.scheme}://{host}" if HOST.match(host) else ""
    shown: dict[str, Any] = {
        "type": f"{origin}/problems/{problem.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail or kind.about,
        "request_id": request_id(request),
    }
    if kind.status != 404:
        shown["instance"] = f"urn:request:{request_id(request)}"
    if problem.errors:
        shown["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in problem.errors]
    shown.update(problem.more)
    headers = {"Cache-Control": "no-store", **problem.headers}
    if kind.status == 500:
        # Answered outside of what gives every other answer its id.
        headers["X-Request-ID"] = request_id(request)
    response = Closing if "Connection" in headers else Response
    return response(orjson.dumps(shown), kind.status, headers, MEDIA_TYPE)


class Closing(Response):
    """The last answer on a connection. It is followed by a short while of reading and dropping what the client still
    sends: to close with bytes unread would reset the connection, and the client might never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while dropped < LINGER_BYTES:
                    message = await receive()
                    dropped += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def problem_of(request: Request, error: Exception) -> Problem:
    """What an error of the layers below means over HTTP."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, NotDurable):
        return Problem("not-durable", headers={"Retry-After": "1"})
    if isinstance(error, StorageFull):
        return Problem("storage-full", headers={"Retry-After": "30"})
    if isinstance(error, StorageError):
        return Problem("storage-unavailable", headers={"Retry-After": "2"})
    if isinstance(error, BoardGone):
        return Problem("not-found")
    if isinstance(error, AccessError):
        challenge = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
        return Problem(error.slug, headers=challenge)
    if isinstance(error, LimitReached):
        headers = {**error.headers, "Retry-After": str(max(1, math.ceil(error.after_s)))}
        return Problem(error.slug, str(error), headers=headers)
    if isinstance(error, BoardClosed):
        board = f"/v1/boards/{request.path_params.get('board', '')}"
        links = {"retry": f"{board}/retry", "fork": f"{board}/fork"}
        return Problem("board-ended", links=links)
    if isinstance(error, EntryConflict):
        headers = {"ETag": f'"{error.current}"'} if error.live else {}
        return Problem("precondition-failed", headers=headers, current_version=error.current)
    if isinstance(error, ConflictError):
        return Problem(error.slug if error.slug in CATALOGUE else "conflict")
    if isinstance(error, InvalidValue):
        return Problem("validation-error", errors=error.errors)
    if isinstance(error, ContractError):
        return Problem("source-unfit", str(error))
    if isinstance(error, UsageError):
        return Problem(error.slug if error.slug in CATALOGUE else "validation-error")
    if isinstance(error, ClientDisconnect):
        return Problem("bad-request")
    return Problem("internal-error")


async def _on_error(request: Request, error: Exception) -> Response:
    return render(request, problem_of(request, error))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request.app.routes, request)))
        return render(request, Problem("method-not-allowed", headers={"Allow": allowed}))
    slugs = {404: "not-found", 413: "content-too-large"}
    return render(request, Problem(slugs.get(error.status_code, "bad-request")))


async def _on_parameters(request: Request, error: Exception) -> Response:
    return render(request, Problem("invalid-parameter"))


def _methods(routes: Iterable[BaseRoute], request: Request) -> set[str]:
    found: set[str] = set()
    for route in routes:
        # A router says of each route alone what it allows; a resource's methods are spread over several.
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found


def install(app: FastAPI) -> None:
    """Let every error of the app end as a problem."""
    for kind in (Problem, BlackboardError, LogError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_parameters)


def described(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer these problems, besides those every route may answer."""
    by_status: dict[int, list[str]] = {}
    for slug in (*slugs, "invalid-parameter", "not-found", "storage-unavailable", "storage-full", "internal-error"):
        by_status.setdefault(CATALOGUE[slug].status, []).append(slug)
    return {
        status: {
            "description": "; ".join(f"`{slug}`: {CATALOGUE[slug].about}" for slug in dict.fromkeys(names)),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, names in sorted(by_status.items())
    }
