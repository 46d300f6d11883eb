"""Steps that are answered only once replicas have them.

WAIT counts for what its own connection did last (https://redis.io/docs/latest/commands/wait/): asked on another one it
answers at once, and proves nothing. So each step and its WAIT travel as a pair, on a connection of their own. A step that
was made before is confirmed in the same way: the position it is compared with is never older than the step.
"""

from __future__ import annotations

from typing import Any

from redis.exceptions import NoScriptError

from blackboard.coalesce import Sender, storage_error
from blackboard.doors import Call
from blackboard.errors import NotDurable


class Confirming:
    """`replicas`: how many must have a step; `wait_ms`: how long they are given."""

    def __init__(self, sender: Sender, replicas: int, wait_ms: int) -> None:
        self._sender = sender
        self._wait = ("WAIT", replicas, wait_ms)
        self._replicas = replicas

    async def run(self, call: Call) -> Any:
        """A script's reply. Raises NotDurable where too few replicas have it: it was made, and may be sent again."""
        reply, confirmed = await self._sender.send((call.by_sha(), self._wait))
        if isinstance(reply, NoScriptError):
            reply, confirmed = await self._sender.send((call.by_text(), self._wait))
        for each in (reply, confirmed):
            if isinstance(each, BaseException):
                raise storage_error(each)
        if confirmed < self._replicas:
            raise NotDurable(
                f"{confirmed} of {self._replicas} replicas confirmed the write in time",
                hint="send it again: with the same Idempotency-Key or id it has one effect",
            )
        return reply
