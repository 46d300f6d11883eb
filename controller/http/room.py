"""Whether there is room for one more document: asked before its bytes are read, and answered at once."""

from __future__ import annotations

import random

from fastapi import Request

from blackboard.errors import LimitReached, Overloaded
from controller.http.body import unread
from controller.http.door import api_of, caller_of
from controller.policy import policy_of
from controller.views import BoardView

AGAIN_S = (2.0, 10.0)
"""When to come back to a service that is overloaded: not all at the same moment."""
AGAIN = ("too-many-boards", "budget-exhausted")
"""What running a board again may come to."""
SLUGS = ("overloaded", *AGAIN)


async def check_room(request: Request) -> None:
    """Raises Overloaded while too much waits for work, TooManyBoards where the tenant has as many as it may."""
    api = api_of(request)
    try:
        if (await api.load.look()).overloaded:
            raise Overloaded("", after_s=random.uniform(*AGAIN_S))
        await api.desk.quota.look(caller_of(request).tenant)
    except LimitReached as error:
        error.headers.update(unread(request))
        raise


async def check_again(request: Request, view: BoardView) -> None:
    """`check_budget` for a board that is to go on, where it asks models."""
    if policy_of(view.head.get("policy", "")).asks_models:
        await check_budget(request)


async def check_budget(request: Request) -> None:
    """Raises BudgetExhausted when the tenant's tokens or money of the day are used up; for documents that ask models."""
    api = api_of(request)
    await api.accounts.check(caller_of(request).tenant, tokens=api.settings.limit_tokens_per_day)
