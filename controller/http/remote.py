"""POST /v1/activations/claim, /renew and /commits: the work of sources that run elsewhere."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.entries import Read
from blackboard.errors import BoardClosed, ConflictError, FencedError
from controller.http.body import read_json, validated
from controller.http.door import answer, api_of, caller_of, query
from controller.http.problems import Problem, described
from controller.http.source_models import ClaimModel, CommitModel, RenewModel
from controller.remote.outcomes import Task, Written
from controller.remote.requests import ClaimRequest, CommitRequest, RenewRequest

router = APIRouter(prefix="/v1", tags=["activations"])

ActivationId = Annotated[str, Path(description="A claim's `activation`.", examples=["dates.5bd27e0d5c0fb2ad12f1"])]
ACTIVATION = re.compile(r"(shadow\.)?[a-z][a-z0-9_-]{0,63}\.[0-9a-f]{8,40}\Z")
MOST_COMMIT = 4 << 20
"""Bytes of a commit's body."""
BODY = (
    "validation-error", "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "invalid-json",
    "invalid-encoding", "invalid-unicode", "duplicate-member", "json-too-deep",
)  # fmt: skip


def _takes(model: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/activations/claim",
    operation_id="activations.claim",
    summary="Take the next activation of one of these sources",
    responses={
        200: {"model": ClaimModel, "description": "It is the worker's until `lease_until`, and longer if renewed."},
        204: {"description": "There was none within `wait_s`."},
        **described("stopping", *BODY),
    },
    openapi_extra=_takes("ClaimRequest"),
)
async def claim(request: Request) -> Response:
    """A long poll. An activation whose answer got lost is handed out again once its lease is over."""
    query(request)
    asked = validated(ClaimRequest, await read_json(request))
    api = api_of(request)
    if api.feed.finished:
        raise Problem("stopping", headers={"Retry-After": "1"})

    async def gone() -> bool:
        return api.feed.finished or await request.is_disconnected()

    task = await api.work.claim(
        asked.sources, worker=asked.worker, caller=caller_of(request), wait_s=asked.wait_s, gone=gone
    )
    if task is None:
        return Response(status_code=204)
    return answer(_task(task, api.settings.lease_s))


@router.post(
    "/activations/{activation}/renew",
    operation_id="activations.renew",
    summary="Keep an activation for another lease",
    responses={
        200: {"model": RenewModel},
        **described("fenced", "cancelled", *BODY),
    },
    openapi_extra=_takes("RenewRequest"),
)
async def renew(request: Request, activation: ActivationId) -> Response:
    """At a third of `lease_s`, and with `progress` for whoever watches. After a 409 stop: the work is not yours."""
    query(request)
    asked = validated(RenewRequest, await read_json(request))
    await _check(request, asked.board, activation)
    api = api_of(request)
    try:
        until = await api.work.renew(asked.board, activation, asked.epoch, asked.progress)
    except FencedError as error:
        raise Problem(error.slug, _sentence(error)) from None
    return answer({"lease_s": api.settings.lease_s, "lease_until": until})


@router.post(
    "/activations/{activation}/commits",
    operation_id="activations.commit",
    summary="Contribute, and say how the activation ends",
    responses={
        200: {"model": CommitModel, "description": "Written, now or (`already`) by an earlier request of this number."},
        **described("fenced", "cancelled", "conflict", "out-of-order", "board-ended", *BODY),
    },
    openapi_extra=_takes("CommitRequest"),
)
async def commit(request: Request, activation: ActivationId) -> Response:
    """All of it or nothing. After a 422 the activation is still yours, and the number not used up."""
    query(request)
    asked = validated(CommitRequest, await read_json(request, limit=MOST_COMMIT))
    await _check(request, asked.board, activation)
    try:
        written = await api_of(request).work.commit(activation, asked)
    except (FencedError, ConflictError) as error:
        raise Problem(error.slug, _sentence(error)) from None
    except BoardClosed:
        raise Problem("board-ended", links={"board": f"/v1/boards/{asked.board}"}) from None
    return answer(_written(written))


async def _check(request: Request, board: str, activation: str) -> None:
    work = api_of(request).work
    if not ACTIVATION.match(activation) or not await work.may_work(board, activation, caller_of(request)):
        raise Problem("not-found")


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _task(task: Task, lease_s: float) -> dict[str, Any]:
    activation, board = task.activation, task.board
    base = f"/v1/activations/{activation.id}"
    return {
        "activation": activation.id,
        "board": board,
        "epoch": activation.epoch,
        "source": task.source.name,
        "version": activation.data["version"],
        "binding": activation.data["binding"],
        "attempt": int(activation.data.get("attempts", 0)) + 1,
        "lease_s": lease_s,
        "lease_until": task.lease_until,
        "timeout_s": task.source.timeout,
        "inputs": {
            parameter: [_entry(read, value) for read, value in items] for parameter, items in task.inputs().items()
        },
        "links": {
            "renew": f"{base}/renew",
            "commits": f"{base}/commits",
            "board": f"/v1/boards/{board}",
            "blob": f"/v1/blobs/{{sha256}}?board={board}",
        },
    }


def _entry(read: Read, value: bytes) -> dict[str, Any]:
    assert read.header is not None
    return {
        "key": read.key,
        "version": read.header.version,
        "owner": read.header.owner,
        "confidence": read.header.confidence,
        "value": orjson.Fragment(value),
    }


def _written(written: Written) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "status": written.status,
        "revision": written.revision,
        "already": written.already,
        "entries": [
            {"key": key, "asked": asked, "version": version or None, "changed": version > 0}
            for asked, key, version in written.wrote
        ],
        "retracted": list(written.retracted),
    }
    if written.status == "failed":
        shown["final"] = written.final
        shown["retry_at"] = written.retry_at
    return shown
