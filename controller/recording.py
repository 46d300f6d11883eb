"""A model's calls on the logs of boards: the record `llm.called`, and the answer, kept as long as the board.

The body is the gateway's; added are the epoch and `recording`, the SHA-256 of a blob that the board refers to from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

import orjson
import structlog

from blackboard.entries import Commit
from blackboard.models import Caller
from blackboard.ports import Store
from controller.hearing import RecordOf

log = structlog.get_logger(__name__)


class Keeper(Protocol):
    """The part of the blob store that recordings need."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256."""

    async def delete(self, sha256: str) -> None:
        """Remove them."""


def recorder(store: Store, blobs: Keeper) -> RecordOf:
    """Who puts calls on boards' logs."""
    return lambda caller: partial(record_call, store, blobs, caller)


async def record_call(
    store: Store, blobs: Keeper, caller: Caller, body: Mapping[str, Any], recording: bytes | None
) -> None:
    """Say on the board's log that its activation called a model. `body["call"]` names the call: told twice, it lands once.

    `recording`: the answer as JSON. Nothing is written once the board has ended. Raises nothing: what cannot be written is
    logged, for a source must not fail, and a call not be made again, because its record is lost.
    """
    try:
        await _record(store, blobs, caller, body, recording)
    except Exception as error:  # whatever it is: the answer was paid for, and its source waits for it
        log.warning(
            "call.unrecorded", board=caller.board, call=body.get("call"), error=f"{type(error).__name__}: {error}"
        )


async def _record(
    store: Store, blobs: Keeper, caller: Caller, body: Mapping[str, Any], recording: bytes | None
) -> None:
    call = str(body["call"])
    said = {**body, "epoch": caller.epoch}
    refs: tuple[str, ...] = ()
    if recording is not None:
        # With the board and the call in it no other board's blob has the same bytes: it may be removed again.
        kept = {"board": caller.board, "call": call, "reply": orjson.Fragment(recording)}
        refs = (await blobs.put(orjson.dumps(kept)),)
        said["recording"] = refs[0]
    answer = await store.commit(
        caller.board, Commit("llm.called", caller.source or "model", id=f"llm:{call}", body=said, blobs=refs)
    )
    if not answer.ok:
        for sha256 in refs:
            await blobs.delete(sha256)
