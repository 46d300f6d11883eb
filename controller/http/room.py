"""Whether there is room for more work: asked before a request's bytes are read, and answered at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from blackboard.errors import LimitReached, Overloaded
from controller.http.body import unread
from controller.http.door import Api, api_of, caller_of
from controller.policy import policy_of
from controller.views import BoardView

AGAIN_S = (2.0, 10.0)
"""When to come back to a service that is overloaded: not all at the same moment."""
SLUGS = ("overloaded", "too-many-boards", "budget-exhausted")
"""What there may be no room for: of the service, of the tenant, and of its day."""


async def check_room(request: Request) -> None:
    """Raises Overloaded while too much waits for work, TooManyBoards where the tenant has as many as it may."""
    with _before_reading(request):
        api = api_of(request)
        await _check_load(api)
        await api.desk.quota.look(caller_of(request).tenant)


async def check_again(request: Request, view: BoardView) -> None:
    """For a board that is to go on: raises Overloaded, and as `check_budget` does where it asks models."""
    with _before_reading(request):
        await _check_load(api_of(request))
        if policy_of(view.head.get("policy", "")).asks_models:
            await check_budget(request)


async def check_budget(request: Request) -> None:
    """Raises BudgetExhausted when the tenant's tokens or money of the day are used up; for documents that ask models."""
    api = api_of(request)
    await api.accounts.check(caller_of(request).tenant, tokens=api.settings.limit_tokens_per_day)


async def _check_load(api: Api) -> None:
    if (await api.load.look()).overloaded:
        raise Overloaded("", after_s=random.uniform(*AGAIN_S))


@contextmanager
def _before_reading(request: Request) -> Iterator[None]:
    try:
        yield
    except LimitReached as error:
        error.headers.update(unread(request))
        raise
