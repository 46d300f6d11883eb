"""One more source for a board: what must hold, and the commit that brings it there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blackboard.contract import Source
from blackboard.entries import Answer, Commit
from blackboard.errors import BoardGone, ConflictError
from blackboard.keys import new_board_id
from blackboard.once import Once
from blackboard.ports import Store
from controller.backfill import backfilled, has_source, with_source
from controller.graph import graph_of
from controller.pinned import Backfill
from controller.policy import policy_of
from controller.quotas import BoardQuota, counted
from controller.values import InvalidValue, RequestUnderWay, SourcePresent

TRIES = 64
"""How often a board is looked at anew before it is said that it changes too fast to add a source to it."""


class Adding:
    """The wish to run a source on a board. Raises InvalidValue for a source there is not, or a wish that makes no sense."""

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, Source],
        name: str,
        task: Backfill,
        by: str,
        once: Once | None,
        quota: BoardQuota,
    ) -> None:
        if name not in sources:
            raise InvalidValue([("/source", f"no such source; there are {', '.join(sorted(sources))}")])
        if task.shadow and task.downstream:
            raise InvalidValue([("/downstream", "nobody reads what a shadow contributes")])
        self._store, self._sources, self._task, self._by, self._once = store, sources, task, by, once
        self._quota = quota
        self._source = sources[name]

    def check(self, head: Mapping[str, str]) -> None:
        """Raises SourcePresent, InvalidValue."""
        if not policy_of(head.get("policy", "")).allows(self._source):
            words = f"{self._source.name} asks a language model, and models are off on this board: submit it again with them"
            raise InvalidValue([("/source", words)])
        if has_source(head, self._source, shadow=self._task.shadow):
            raise SourcePresent(
                f"{self._source.name}@{self._source.version} is on the board already",
                hint="retry runs again what failed",
            )

    async def to_open(self, board: str, revision: int, head: Mapping[str, str]) -> bool:
        """Add it to an open board, if that is still at the revision. Raises ContractError when it does not fit there."""
        changed = with_source(head, self._source, shadow=self._task.shadow)
        graph_of({**head, **changed}, self._sources.values())
        commit = Commit(
            "board.changed",
            self._by,
            id=secrets.token_hex(16),
            mode="person",
            revision=revision,
            head=changed,
            body={"added": self._said()},
            once=self._once,
        )
        answer = await self._store.commit(board, commit)
        self._check_turn(answer)
        return answer.ok

    async def on_a_copy(self, board: str, due: tuple[tuple[str, int | None], ...]) -> str:
        """Run it on a copy of a board that has ended; the copy's id. Raises BoardGone, ContractError."""
        old = await self._store.projection(board)
        if old is None:
            raise BoardGone("there is no such board")
        commit = backfilled(old, self._source, self._task, self._by, due=due)
        graph_of(commit.head, self._sources.values())
        tenant = old.head.get("tenant", "")
        copy = self._store.new_id(tenant) if self._once is None else new_board_id(self._once.partition)
        async with counted(self._quota, tenant, copy):
            answer = await self._store.commit(copy, replace(commit, once=self._once))
            self._check_turn(answer)
            if not answer.ok:
                raise ConflictError("the board could not be copied", hint="ask again")
        return copy

    def _check_turn(self, answer: Answer) -> None:
        if any(mismatch.key == "once" for mismatch in answer.mismatches):
            raise RequestUnderWay("the same request is being answered", hint="ask again")

    def _said(self) -> dict[str, Any]:
        space = "shadow" if self._task.shadow else ""
        return {"source": self._source.name, "version": self._source.version, "space": space}
