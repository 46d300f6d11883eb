"""Boards and commits in few words, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from blackboard.board import Board, fold
from blackboard.entries import Activation, AgendaWrite, Answer, Commit, Put, Retract
from blackboard.events import LogRecord
from blackboard.ports import Store


async def new_board(store: Store, *, tenant: str = "acme", **more: Any) -> str:
    """A fresh open board."""
    board = store.new_id(tenant)
    head = {"status": "open", "tenant": tenant, "incarnation": "i1"}
    answer = await store.commit(
        board, Commit("board.created", f"tenant:{tenant}", id="create", create=True, head=head, **more)
    )
    assert answer.ok, answer
    return board


def put(key: str, value: Any = "text", **more: Any) -> Put:
    """A put of a JSON value."""
    return Put(key, orjson.dumps(value), **more)


async def person(store: Store, board: str, *writes: Put | Retract, who: str = "ann", **more: Any) -> Answer:
    """A person's commit."""
    return await store.commit(board, Commit("board.changed", f"person:{who}", mode="person", writes=writes, **more))


async def source(store: Store, board: str, name: str, *writes: Put | Retract, **more: Any) -> Answer:
    """A source's commit, without a fence."""
    return await store.commit(
        board, Commit("contribution.committed", name, **{"mode": "source", "writes": writes, **more})
    )


def activation(id: str, status: str = "pending", epoch: int = 0, inputs: str = "", **data: Any) -> Activation:
    """A record of the agenda."""
    return Activation.parse(id, f"{status}|{epoch}|{inputs}|".encode() + orjson.dumps(data))


async def agenda(store: Store, board: str, *records: Activation, due_ms: int | None = None, **more: Any) -> Answer:
    """The controller writes records."""
    writes = tuple(AgendaWrite(record, due_ms) for record in records)
    return await store.commit(board, Commit("controller.decided", "controller", agenda=writes, **more))


async def end(store: Store, board: str, status: str = "completed", **more: Any) -> Answer:
    """The controller ends a board."""
    return await store.commit(board, Commit(f"board.{status}", "controller", head={"status": status}, **more))


async def consistent(store: Store, board: str) -> tuple[Board, list[LogRecord]]:
    """The projection and the log, after checking that one folds to the other and that the log is dense."""
    log = await store.log(board)
    state = await store.projection(board)
    assert state is not None
    assert fold(board, log) == state
    assert [record.revision for record in log if not record.is_note] == list(range(1, state.revision + 1))
    return state, log


async def until(found: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """The first true answer; fails when there is none in time."""
    async with asyncio.timeout(seconds):
        while not (answer := await found()):
            await asyncio.sleep(0.005)
    return answer
