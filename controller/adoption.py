"""When a board stops waiting for the version of a source that it began with. Pure.

A board waits `adopt_s` for a worker of its version. Then it goes on with another version, if some worker serves one: the
version of the code that decides, if that is served, else the one most workers serve. Where nobody serves any version the
board waits on, until its deadline: workers may come back, and nothing better could be done in the meantime. A shadow is
not worth that: nobody waits longer than `adopt_s` for one that nobody serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from blackboard.contract import Source
from blackboard.entries import Commit, is_shadow, plain_name
from blackboard.presence import Presence, served
from controller.pinned import versions_of
from controller.plan import Plan


@dataclass(frozen=True, slots=True)
class Adoption:
    """What changes. `left`: (source, version) that the board uses no more, shadows by their own names."""

    commit: Commit
    left: tuple[tuple[str, str], ...]
    running: tuple[str, ...]
    """Activations of those that are under way by the agenda."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A version that nobody serves. `since`: milliseconds since 1970; `other`: the version that would take its place."""

    source: str
    version: str
    since: int
    other: str


def wait_for(source: str, version: str, presence: Presence, preferred: str, earliest: int) -> Wait | None:
    """What an activation of that version waits for; None when somebody serves it. `source`: a shadow's name, too."""
    name = plain_name(source)
    since = presence.since(name, version, earliest)
    if since is None:
        return None
    others = presence.versions(name)
    best = preferred if preferred in others else max(others, key=lambda other: (others[other], other), default="")
    return Wait(source, version, since, best)


def adoption(plan: Plan, presence: Presence, sources: Iterable[Source], now: int, adopt_ms: int) -> Adoption | None:
    """The change that lets the board go on, if it has waited long enough."""
    known = {source.name: source.version for source in sources}
    earliest = int(plan.head.get("created", 0))
    needed = {(str(a.data["source"]), str(a.data["version"])) for a in plan.under_way.values()}
    waits = [
        wait
        for source, version in sorted(needed)
        if (wait := wait_for(source, version, presence, known.get(plain_name(source), ""), earliest)) is not None
        and now >= wait.since + adopt_ms
        and versions_of(plan.head, _field(source)).get(plain_name(source)) == version
        and (wait.other or is_shadow(source))
    ]
    if not waits:
        return None
    left = tuple((wait.source, wait.version) for wait in waits)
    running = [a.id for a in plan.under_way.values() if a.status == "running" and a.data["source"] in dict(left)]
    return Adoption(_commit(plan, waits, now), left, tuple(running))


def _commit(plan: Plan, waits: Sequence[Wait], now: int) -> Commit:
    heads = {field: versions_of(plan.head, field) for field in {_field(wait.source) for wait in waits}}
    adopted, dropped, words = [], [], []
    for wait in waits:
        name, versions = plain_name(wait.source), heads[_field(wait.source)]
        words.append(f"no worker has served {served(name, wait.version)} for {(now - wait.since) / 1000:.0f} s")
        if wait.other:
            versions[name] = wait.other
            adopted.append({"source": wait.source, "from": wait.version, "to": wait.other})
        else:
            del versions[name]
            dropped.append({"source": wait.source, "from": wait.version})
    return Commit(
        type="board.changed",
        by="controller",
        revision=plan.revision,
        head={field: orjson.dumps(versions).decode() for field, versions in heads.items()},
        body={"reason": "; ".join(words), "adopted": adopted, **({"left_out": dropped} if dropped else {})},
    )


def _field(source: str) -> str:
    return "shadow" if is_shadow(source) else "sources"
