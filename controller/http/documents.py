"""POST /v1/documents: a file as multipart/form-data, a text or an address as JSON. The board is the operation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import Message
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from blackboard.egress import Egress
from controller.desk import Submission
from controller.http import room
from controller.http.boards import shown
from controller.http.body import media_type, read_json, received, too_large, validated
from controller.http.door import Api, answer, api_of, caller_of, query
from controller.http.idempotency import PARAMETER, SLUGS, Turn, in_turn, made_at
from controller.http.models import BoardModel, DocumentOptions, TextDocument, UrlDocument
from controller.http.multipart import Multipart, Part
from controller.http.problems import Problem, described
from controller.http.room import check_budget, check_room
from controller.http.sniff import contradicts, declares_entities
from controller.http.strict_json import loads
from controller.http.waiting import PREFER, waited
from controller.policy import Modes, Policy

router = APIRouter(prefix="/v1", tags=["documents"])

ACCEPTED = "multipart/form-data, application/json"
OVERHEAD = 1 << 20
"""Bytes a multipart body may hold besides the file."""
MOST_FIELD = 64 << 10
SNIFFED = 1024
"""Bytes looked at before a file is kept."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd\ud800-\udfff]")
LISTS = ("goal", "sources", "shadow")
OBJECTS = ("strategy", "floor", "price", "budget", "models")


@router.post(
    "/documents",
    operation_id="documents.submit",
    status_code=202,
    summary="Submit a document",
    responses={
        202: {"model": BoardModel, "description": "The board that will hold the analysis; `Location` names it."},
        **described(
            "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "media-type-mismatch",
            "validation-error", "invalid-filename", "document-unsafe", "invalid-json", "invalid-encoding",
            "invalid-unicode", "duplicate-member", "json-too-deep", "invalid-multipart",
            "url-not-allowed", *SLUGS, *room.SLUGS,
        ),
    },
    openapi_extra={
        "parameters": [PARAMETER, PREFER],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"$ref": "#/components/schemas/FileDocument"}},
                "application/json": {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/TextDocument"},
                            {"$ref": "#/components/schemas/UrlDocument"},
                        ]
                    }
                },
            },
        }
    },
)  # fmt: skip
async def submit(request: Request) -> Response:
    """The document is accepted as it is; what cannot be read ends as a failed board that says why."""
    query(request)
    declared = media_type(request)
    if declared not in ("application/json", "multipart/form-data"):
        raise Problem("unsupported-media-type", headers={"Accept-Post": ACCEPTED})
    async with in_turn(request) as turn:
        if not turn.repeated:
            await check_room(request)
        if declared == "application/json":
            document = await _json_document(request, turn)
        else:
            document = await _file_document(request, _boundary(request), turn)
        once = turn.once(document.words) if turn.keyed else None
        view = await turn.first() or await api_of(request).desk.submit(replace(document, once=once))
    view, more = await waited(request, view)
    return answer(shown(view), 202, {**made_at(view, turn), **({} if view.ended else {"Retry-After": "1"}), **more})


async def _json_document(request: Request, turn: Turn) -> Submission:
    body = await read_json(request, accept=ACCEPTED)
    if isinstance(body, dict) and "url" in body:
        if "text" in body:
            raise Problem("validation-error", errors=[("/url", "there may be a text or an address, not both")])
        return await _url_document(request, validated(UrlDocument, body), turn)
    given = validated(TextDocument, body)
    await _meet(request, given, turn)
    if declares_entities(given.text):
        raise Problem("document-unsafe")
    if given.filename is not None:
        check_filename(given.filename)
    return _submission(
        request, given, text=given.text, filename=given.filename, declared_type="text/plain; charset=utf-8"
    )


async def _url_document(request: Request, given: UrlDocument, turn: Turn) -> Submission:
    await _meet(request, given, turn)
    Egress(api_of(request).settings.egress_allow).check(given.url)
    if given.filename is not None:
        check_filename(given.filename)
    return _submission(request, given, url=given.url, filename=given.filename)


async def _file_document(request: Request, boundary: str, turn: Turn) -> Submission:
    api = api_of(request)
    body = received(request, api.settings.max_upload_bytes + OVERHEAD)
    fields: dict[str, Any] = {}
    kept: tuple[str, int, Part] | None = None
    async for part in Multipart(body, boundary).parts():
        if part.name in fields or (part.name == "file" and kept is not None):
            raise Problem("validation-error", errors=[(f"/{part.name}", "is given twice")])
        if part.name == "file":
            # Options that came first are checked before a byte of the file is kept.
            await _meet(request, _options(fields), turn)
            if not turn.repeated:
                api.desk.check(_submission(request, _options(fields)))
            kept = (*await _keep(api, part, turn), part)
        elif part.filename is not None:
            raise Problem("validation-error", errors=[("/file", "the file's field must be called `file`")])
        else:
            fields[part.name] = await part.text(MOST_FIELD)
    options = _options(fields)
    await _meet(request, options, turn)
    if kept is None:
        raise Problem("validation-error", errors=[("/file", "is missing")])
    sha256, size, part = kept
    declared = part.content_type[:255] if part.content_type.isprintable() else ""
    return _submission(
        request, options, sha256=sha256, size=size, filename=part.filename or None, declared_type=declared or None
    )


async def _meet(request: Request, options: DocumentOptions, turn: Turn) -> None:
    """What is asked for may have been registered a moment ago, in another process."""
    if turn.repeated:
        return  # nothing more is done, whatever became of the sources since
    api = api_of(request)
    if not api.desk.offer.levels(caller_of(request).tenant).keys() >= set(options.goal):
        await api.directory.refresh()
    await api.directory.meet(options.sources)
    if options.callback:
        await api.webhooks.check_callback(caller_of(request).tenant, options.callback)
    if _policy(options, api.settings.models).asks_models:
        await check_budget(request)


def _boundary(request: Request) -> str:
    message = Message()
    message["content-type"] = request.headers["content-type"]
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise Problem("invalid-multipart", "The Content-Type names no boundary.")
    return boundary


def _submission(request: Request, options: DocumentOptions, **document: Any) -> Submission:
    return Submission(
        tenant=caller_of(request).tenant,
        goal=tuple(dict.fromkeys(options.goal)),
        sources=tuple(dict.fromkeys(options.sources)),
        shadow=tuple(dict.fromkeys(options.shadow)),
        deadline_s=options.deadline_s,
        priority=options.priority,
        hold=options.hold,
        callback=options.callback,
        policy=_policy(options, api_of(request).settings.models),
        **document,
    )


def _policy(options: DocumentOptions, models: Modes) -> Policy:
    try:
        return options.policy(models)
    except ValidationError as error:
        raise Problem("validation-error", errors=[("/floor", error.errors()[0]["msg"])]) from error


def _options(fields: dict[str, str]) -> DocumentOptions:
    """Form fields as options: lists are separated by commas."""
    found: dict[str, Any] = dict(fields)
    for name in LISTS:
        if name in found:
            found[name] = [word.strip() for word in fields[name].split(",") if word.strip()]
    if "deadline_s" in found:
        text = fields["deadline_s"].strip()
        found["deadline_s"] = float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) else text
    for name in OBJECTS:
        if name in found and not (name == "models" and not fields[name].lstrip().startswith("{")):
            try:
                found[name] = loads(fields[name].encode())
            except Problem as problem:
                raise Problem("validation-error", errors=[(f"/{name}", "must be JSON")]) from problem
    return validated(DocumentOptions, found)


async def _keep(api: Api, part: Part, turn: Turn) -> tuple[str, int]:
    if part.filename:
        check_filename(part.filename)
    limit = api.settings.max_upload_bytes
    content = _vetted(part, limit)
    return await (_measured(content) if turn.repeated else api.blobs.put_stream(content, limit))


async def _measured(content: AsyncIterator[bytes]) -> tuple[str, int]:
    """SHA-256 and size of what was kept the first time."""
    digest, size = hashlib.sha256(), 0
    async for chunk in content:
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


async def _vetted(part: Part, limit: int) -> AsyncIterator[bytes]:
    """The file's bytes, once the first of them do not contradict its declared type."""
    size, first = 0, b""
    async for chunk in part.chunks():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if first is not None:
            first += chunk
            if len(first) < SNIFFED:
                continue
            chunk, first = _checked(part, first), None  # type: ignore[assignment]
        yield chunk
    if first:
        yield _checked(part, first)


def _checked(part: Part, first: bytes) -> bytes:
    if contradicts(first, part.content_type, part.filename or ""):
        raise Problem("media-type-mismatch")
    return first


def check_filename(name: str) -> None:
    """Raises Problem invalid-filename. The name is shown to people and never used as a path, yet others may use it so."""
    if not name or "/" in name or "\\" in name or ".." in name or CONTROL.search(name) or len(name.encode()) > 255:
        raise Problem("invalid-filename")
