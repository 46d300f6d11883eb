"""POST /v1/boards/{id}/retry and /fork: a board that goes on, here or on a new board; and what all that do so share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from blackboard.once import Once
from controller.http import room
from controller.http.boards import shown
from controller.http.body import optional, read_options
from controller.http.door import BoardId, answer, api_of, board_of, caller_of, query, with_headers
from controller.http.idempotency import PARAMETER, SLUGS, in_turn, made_at
from controller.http.models import BoardModel, ForkOptions, RetryOptions
from controller.http.problems import described
from controller.http.room import check_again
from controller.http.waiting import PREFER, waited

router = APIRouter(prefix="/v1", tags=["boards"])

M = TypeVar("M", bound=BaseModel)
HEADERS = (PARAMETER, PREFER)
PROBLEMS = (*SLUGS, *room.SLUGS)
"""What any of them may be answered besides its own."""


@router.post(
    "/boards/{board}/retry",
    operation_id="boards.retry",
    status_code=202,
    summary="Try again what failed",
    responses={
        202: {"model": BoardModel, "description": "`Location` names the board where it goes on."},
        **described("nothing-to-retry", "validation-error", *PROBLEMS),
    },
    openapi_extra=with_headers(optional(RetryOptions), *HEADERS),
)
async def retry(request: Request, board: BoardId) -> Response:
    """On an open board, activations that failed for good run again. A board that has ended is forked."""
    query(request)
    desk, caller = api_of(request).desk, caller_of(request)

    async def act(options: RetryOptions, once: Once | None) -> str:
        return await desk.retry(board, caller.person, options.activation, tenant=caller.tenant, once=once)

    return await goes_on(request, board, RetryOptions, act)


@router.post(
    "/boards/{board}/fork",
    operation_id="boards.fork",
    status_code=202,
    summary="Go on from a revision, on a new board",
    responses={
        202: {"model": BoardModel, "description": "`Location` names the new board; `parent` says where it comes from."},
        **described("validation-error", *PROBLEMS),
    },
    openapi_extra=with_headers(optional(ForkOptions), *HEADERS),
)
async def fork(request: Request, board: BoardId) -> Response:
    """The new board begins with what stood on this one at that revision. What had been done stays done; what was under way
    or had failed is decided anew, by the sources there are today. This board stays as it is, open or ended."""
    query(request)
    desk, caller = api_of(request).desk, caller_of(request)

    async def act(options: ForkOptions, once: Once | None) -> str:
        return await desk.fork(board, caller.person, options.at, tenant=caller.tenant, once=once)

    return await goes_on(request, board, ForkOptions, act)


async def goes_on(
    request: Request, board: str, model: type[M], act: Callable[[M, Once | None], Awaitable[str]], said: bytes = b""
) -> Response:
    """Do once, where there is room for it, what is asked of a board, and answer the board where it goes on.

    `model`: of the body, that may be left out; `act`: does it, and says on which board; `said`: what the query asks for.
    Raises what `check_again`, `in_turn` and `act` do.
    """
    before = await board_of(request, board)
    async with in_turn(request, board) as turn:
        if not turn.repeated:
            await check_again(request, before)
        options = await read_options(request, model)
        once = turn.once(said + options.model_dump_json().encode())
        view = await turn.first()
        if view is None:
            place = await act(options, once)
            view = await turn.answered() or await board_of(request, place)
    view, more = await waited(request, view)
    return answer(shown(view), 202, made_at(view, turn) | more)
