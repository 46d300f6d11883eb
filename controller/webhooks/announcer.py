"""Turns what happened to a board into deliveries to whoever listens, once for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from blackboard.ports import Due, Store
from controller.announcing import CREATED
from controller.views import BoardView
from controller.webhooks import messages
from controller.webhooks.records import Delivery, callbacks_id, delivery_id, lane_of
from controller.webhooks.storage import HookStore


class Announcer:
    """See announcing.Announcer."""

    def __init__(self, boards: Store, hooks: HookStore, *, kick: Callable[[], None] = lambda: None) -> None:
        """`kick`: called when there is something to deliver."""
        self._boards = boards
        self._hooks = hooks
        self._kick = kick

    async def announce(self, due: Due) -> None:
        """Make the deliveries, then take it off the list. A lost process leaves it there, and what it made is known."""
        head = await self._boards.head(due.board)
        view = BoardView(due.board, head or {})
        if head is not None and (due.name == CREATED or view.ended):
            found = await self._deliveries(
                view, *(messages.created(view) if due.name == CREATED else messages.ended(view))
            )
            if any(await asyncio.gather(*(self._hooks.deliver(each) for each in found))):
                self._kick()
        await self._boards.done([due])

    async def _deliveries(self, board: BoardView, type: str, at: int, data: dict[str, object]) -> list[Delivery]:
        tenant, text = board.head.get("tenant", ""), messages.body(type, at, data)
        found = [
            Delivery(delivery_id(board.id, type, each.id), each.id, lane_of(tenant, each.id), "", type, board.id, text)
            for each in await self._hooks.webhooks(tenant)
            if each.sees(type, at)
        ]
        callback = board.head.get("callback", "")
        if callback and type != "board.created":
            found.append(callback_delivery(tenant, callback, type, board.id, text))
        return found


def callback_delivery(tenant: str, url: str, type: str, board: str, text: str) -> Delivery:
    """To the address given with the board."""
    hook = callbacks_id(tenant)
    lane = lane_of(tenant, hook, urlsplit(url).netloc)
    return Delivery(delivery_id(board, type, hook), hook, lane, url, type, board, text)
