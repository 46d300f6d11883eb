"""POST /v1/boards/{id}/commits: several entries in one step, under several checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from blackboard.entries import Answer, Mismatch, level_of
from controller.commits import MOST_CHECKS, MOST_WRITES, Asked, IdReused, Refused, Write, make_commit
from controller.http.body import read_json, validated
from controller.http.door import BoardId, answer, api_of, board_of, caller_of, query
from controller.http.etags import etag
from controller.http.models import Millis, Options
from controller.http.problems import Problem, described
from controller.values import InvalidValue, pointer

router = APIRouter(prefix="/v1", tags=["entries"])

Whole = Annotated[int, Field(ge=0, le=10**12)]


class WriteRequest(Options):
    """An entry to put, with its `value`, or to retract. What is put is pinned unless `pin` is false."""

    op: Literal["put", "retract"] = "put"
    key: Annotated[
        str, Field(max_length=300, description="`level/name`; to retract also a rival's, `level/name~source`.")
    ]
    value: Annotated[Any, Field(description="In the shape of its level.")] = None
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0
    pin: bool = True


class PersonCommitRequest(Options):
    """All of the writes are made, or none. `checks` and `revision` are compared in the same step."""

    writes: Annotated[list[WriteRequest], Field(min_length=1, max_length=MOST_WRITES)]
    checks: Annotated[
        dict[str, Whole],
        Field(
            default_factory=dict,
            max_length=MOST_CHECKS,
            description="Key -> the version it must have; 0: there must never have been one.",
        ),
    ]
    revision: Annotated[Whole | None, Field(description="The revision the board must have.")] = None
    id: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="Of your making, new for each commit: sent again, the same "
              "commit is answered as it was the first time, `already`, refusals too."),
    ] = None  # fmt: skip


class WroteModel(BaseModel):
    """What became of one write. `changed` is false where the entry was so already; `version` is then null."""

    key: str
    version: int | None
    changed: bool


class PersonCommitModel(BaseModel):
    """What a commit came to."""

    board: str
    revision: int
    at: Millis
    already: bool
    entries: list[WroteModel]


@router.post(
    "/boards/{board}/commits",
    operation_id="boards.commit",
    summary="Contribute several entries in one step",
    responses={
        200: {"model": PersonCommitModel, "description": "Written, now or (`already`) when it was sent before."},
        **described(
            "conflict", "board-ended", "idempotency-key-reused", "validation-error", "content-too-large",
            "unsupported-media-type", "unsupported-content-encoding", "invalid-json", "invalid-encoding",
            "invalid-unicode", "duplicate-member", "json-too-deep",
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PersonCommitRequest"}}},
        }
    },
)  # fmt: skip
async def commit(request: Request, board: BoardId) -> Response:
    """For people and programs that correct a board: what belongs together comes together, and nothing of it is made on
    grounds that have moved. A 409 `conflict` lists every check that did not hold."""
    query(request)
    await board_of(request, board)
    asked = _asked(validated(PersonCommitRequest, await read_json(request)))
    api, caller = api_of(request), caller_of(request)
    if not api.desk.offer.levels(caller.tenant).keys() >= {level_of(write.key) for write in asked.writes}:
        # Somebody may have registered a source for it a moment ago, in another process.
        await api.directory.refresh()
    try:
        made = await make_commit(api.store, api.desk.offer.levels(caller.tenant), board, asked, caller.person)
    except Refused as error:
        raise Problem(
            "conflict",
            revision=error.revision,
            already=error.already,
            mismatches=[_mismatch(each) for each in error.checks],
        ) from None
    except IdReused:
        raise Problem("idempotency-key-reused", "Another commit was made under this `id`; take a new one.") from None
    return answer(_shown(board, made), 200, {"ETag": etag(made.revision)})


def _asked(given: PersonCommitRequest) -> Asked:
    errors = []
    for at, write in enumerate(given.writes):
        said = write.model_fields_set
        if write.op == "put" and "value" not in said:
            errors.append((pointer("writes", at, "value"), "is missing"))
        if write.op == "retract":
            wrong = sorted(said & {"value", "confidence", "pin"})
            errors += [(pointer("writes", at, name), "goes with `put` alone") for name in wrong]
    if errors:
        raise InvalidValue(errors)
    writes = tuple(
        Write(write.key, write.op == "retract", write.value, write.confidence, write.pin) for write in given.writes
    )
    return Asked(writes, given.checks, given.revision, given.id or "")


def _mismatch(found: Mismatch) -> dict[str, Any]:
    return {"key": found.key, "expected": int(found.expected), "actual": int(found.actual)}


def _shown(board: str, made: Answer) -> dict[str, Any]:
    entries = [{"key": key, "version": version or None, "changed": version > 0} for _, key, version in made.wrote]
    return {"board": board, "revision": made.revision, "at": made.at, "already": made.already, "entries": entries}
