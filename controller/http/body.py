"""Request bodies: how large, in which media type, and read as what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from controller.http.problems import Problem
from controller.http.strict_json import loads
from controller.values import pointers

M = TypeVar("M", bound=BaseModel)

MOST_JSON = 1 << 20
"""Bytes of a JSON body."""
SHORT = 64 << 10
"""Bytes of a body that the server may as well read to its end."""


def too_large(limit: int) -> Problem:
    """The rest of the body is not read, so the connection cannot be used again."""
    return Problem(
        "content-too-large", f"The body may hold at most {limit:,} bytes.", headers={"Connection": "close"}, limit=limit
    )


def unread(request: Request) -> dict[str, str]:
    """What an answer says when it is given before the body is read: a long rest is worth a new connection."""
    announced = request.headers.get("content-length", "" if "transfer-encoding" in request.headers else "0")
    return {} if announced.isdecimal() and int(announced) <= SHORT else {"Connection": "close"}


def media_type(request: Request) -> str:
    """The lower-case media type, "" when there is none. Raises Problem for a coded body."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem("unsupported-content-encoding", headers={"Accept-Encoding": "identity"})
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def received(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises Problem content-too-large as soon as more than `limit` bytes are announced or here."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if chunk:
            yield chunk


async def read_json(request: Request, *, accept: str = "application/json", limit: int = MOST_JSON) -> Any:
    """The body as strict JSON. Raises Problem; `accept`: what the answer to another media type names."""
    if media_type(request) != "application/json":
        raise Problem("unsupported-media-type", headers={"Accept": accept, "Accept-Post": accept})
    return loads(b"".join([chunk async for chunk in received(request, limit)]))


async def read_options(request: Request, model: type[M]) -> M:
    """A body that may be left out: an object of options. Raises Problem."""
    body = b"".join([chunk async for chunk in received(request, MOST_JSON)])
    if not body:
        return model()
    if media_type(request) != "application/json":
        raise Problem(
            "unsupported-media-type", headers={"Accept": "application/json", "Accept-Post": "application/json"}
        )
    return validated(model, loads(body))


def optional(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes such a body, or none."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


def validated(model: type[M], value: Any) -> M:
    """Strictly. Raises Problem validation-error with a pointer to each part that is off."""
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as error:
        raise Problem("validation-error", errors=pointers(error)) from None
