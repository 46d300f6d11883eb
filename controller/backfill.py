"""One more source on a board: added to an open one; on one that has ended, alone on a copy of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import Commit
from controller.pinned import Backfill, backfill_of, versions_of
from controller.plan import Plan
from controller.retry import fork


def with_source(head: Mapping[str, str], source: Source, *, shadow: bool) -> dict[str, str]:
    """The head fields of a board that has the source from now on."""
    field = "shadow" if shadow else "sources"
    changed = {field: orjson.dumps({**versions_of(head, field), source.name: source.version}).decode()}
    goal = [level for level in head.get("goal", "").split(",") if level]
    if goal and not shadow and not head.get("backfill"):
        # Of a board with a goal only what leads to it is run: whoever adds a source wants its contributions, too.
        goal += [kind.level for kind in source.outputs if kind.level not in goal]
        changed["goal"] = ",".join(goal)
    return changed


def backfilled(
    old: Board, source: Source, task: Backfill, by: str, *, due: tuple[tuple[str, int | None], ...]
) -> Commit:
    """The commit that makes a copy of an ended board on which the source runs, and nothing else but what `task` says."""
    commit = fork(old, versions_of(old.head, "sources"), versions_of(old.head, "shadow"), by, due=due, again=False)
    head = {name: value for name, value in commit.head.items() if name != "hold" or task.downstream}
    head |= with_source(head, source, shadow=task.shadow)
    outcome = orjson.loads(old.head.get("outcome") or "{}")
    kept = {name: outcome[name] for name in ("degraded", "coverage", "shadow", "partial", "reason") if name in outcome}
    head |= {
        "goal": old.head.get("goal", ""),
        "backfill": str(task),
        "inherited": orjson.dumps({**kept, "status": old.status}).decode(),
    }
    said = {"source": source.name, "version": source.version, "space": "shadow" if task.shadow else ""}
    return replace(commit, head=head, body={"backfill": said})


def inherited(plan: Plan, said: dict[str, Any]) -> dict[str, Any]:
    """An outcome; on a backfilled copy, what ran there, and for the rest what the board it was made from ended with."""
    task = backfill_of(plan.head)
    if task is None:
        return said
    before: dict[str, Any] = orjson.loads(plan.head.get("inherited") or "{}")
    # What the copy brought with it was decided before its first revision.
    ran = Counter(
        str(activation.data["source"])
        for activation in plan.activations.values()
        if activation.status == "done" and activation.data["decided"] > 0
    )
    version = versions_of(plan.head, "shadow" if task.shadow else "sources").get(task.source, "")
    told = {
        **said,
        "degraded": [
            *(
                row
                for row in before.get("degraded", ())
                if row["source"] not in plan.tracks and row not in said["degraded"]
            ),
            *said["degraded"],
        ],
        "coverage": {**before.get("coverage", {}), **said["coverage"]},
        "backfill": {
            "source": task.source,
            "version": version,
            "shadow": task.shadow,
            "ran": dict(sorted(ran.items())),
        },
    }
    if aside := {**before.get("shadow", {}), **said.get("shadow", {})}:
        told["shadow"] = aside
    if said["slug"] == "complete":
        runs = sum(ran.values())
        where = f"a copy of {plan.head.get('parent', '').partition('@')[0]}"
        told["reason"] = (
            f"{task.source}@{version} was run on {where}: {runs} activation{'s' if runs != 1 else ''} in all"
        )
        if before.get("status") != "completed" or before.get("partial"):
            told["partial"] = True
            told["reason"] += f"; that board had {before.get('status')}: {before.get('reason', '')}"
    return told


def has_source(head: Mapping[str, str], source: Source, *, shadow: bool) -> bool:
    """Whether the source is on the board already, in this version."""
    return versions_of(head, "shadow" if shadow else "sources").get(source.name) == source.version
