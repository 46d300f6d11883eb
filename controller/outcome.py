"""How a board ends: completed, failed or cancelled, with its coverage grid and reasons. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from blackboard.entries import name_of
from controller.backfill import inherited
from controller.modelwork import model_work
from controller.plan import Plan
from controller.spending import is_paid
from controller.tracks import BOARD, Binding, Track


@dataclass(frozen=True, slots=True)
class Ending:
    """The last word on a board. `outcome` is what its head keeps: reason, coverage, disputes, degraded steps."""

    status: Literal["completed", "failed", "cancelled"]
    outcome: dict[str, Any]


def ending(plan: Plan, *, settled: bool, now: int, only_shadows: bool = False) -> Ending | None:
    """The end, if this is it: asked for, forced by a failure or the deadline, or reached. None: the work goes on.

    `only_shadows`: everything is settled but for shadow sources, which nobody waits for beyond the deadline.
    """
    head = plan.head
    if "cancel" in head:
        return Ending("cancelled", outcome(plan, "cancelled", f"cancelled by {head['cancel']}"))
    broken = _required_failure(plan)
    if broken is not None:
        reason, slug, source = broken
        return Ending("failed", {**outcome(plan, slug, reason), "source": source})
    held = head.get("hold") == "review" and "approved" not in head
    deadline = head.get("deadline_ms")
    late = bool(deadline) and now >= int(head["created"]) + int(deadline or 0)
    if late and (held or not only_shadows):
        slug, limit = _limit(plan, int(deadline or 0))
        if not _has_results(plan):
            waits = f"; {put_off[0]['source']} {put_off[0]['reason']}" if (put_off := _put_off(plan)) else ""
            return Ending("failed", outcome(plan, slug, f"{limit} passed before anything was contributed{waits}"))
        reason = f"{limit} passed: this is what had been contributed by then"
        return Ending("completed", {**outcome(plan, slug, reason), "partial": True})
    # The hold first, because the reviewer may contribute what no source found.
    if held or not (settled or (late and only_shadows)):
        return None
    left_out = _left_out(plan)
    # To have found nothing is a result of a backfill: the board stood complete without it.
    if not _has_results(plan) and "backfill" not in head:
        if left_out:
            return Ending("failed", outcome(plan, "budget", f"the budget allows nothing: {left_out[0]['reason']}"))
        return Ending("failed", outcome(plan, "empty", "no source contributed to the goal"))
    disputes = plan.disputes
    dispute = f", complete with {disputes} dispute{'s' if disputes > 1 else ''}" if disputes else ""
    if left_out:
        reason = f"the budget is used up: {len(left_out)} steps were left out{dispute}"
        return Ending("completed", {**outcome(plan, "budget", reason), "partial": True})
    return Ending("completed", outcome(plan, "complete", f"every goal is settled{dispute}"))


def _limit(plan: Plan, deadline_ms: int) -> tuple[str, str]:
    """Whether the time that passed was the submitter's deadline or the budget's."""
    wall = plan.graph.policy.budget.wall_s
    if wall is not None and round(wall * 1000) == deadline_ms:
        return "budget", f"the budget's {wall:g} seconds"
    return "deadline", "the deadline"


def _put_off(plan: Plan) -> list[dict[str, str]]:
    """What was still waiting to be tried again when the end came."""
    return [
        {"source": name, "binding": id, "reason": f"it waited until the end: {reason}"}
        for name, track in plan.tracks.items()
        if name not in plan.graph.shadows
        for id in sorted(track.retrying)
        if (reason := track.bindings[id].deferred)
    ]


def _left_out(plan: Plan) -> list[dict[str, str]]:
    """Bindings for which there was no money."""
    return [
        {"source": name, "binding": id, "reason": binding.note}
        for name, track in plan.tracks.items()
        if is_paid(track.node.source) and name not in plan.graph.shadows
        for id, binding in sorted(track.bindings.items())
        if binding.state == "unaffordable" and not _done_by_another(plan, name, id)
    ]


def _done_by_another(plan: Plan, source: str, id: str) -> bool:
    """Whether a rival that could be paid for did what this one was to do."""
    return source in plan.graph.contests and any(rival.state == "done" for rival in plan.rivals(source, id).values())


def outcome(plan: Plan, slug: str, reason: str) -> dict[str, Any]:
    """What the end says besides its status. `coverage`: source -> page (or `board`) -> state."""
    degraded = [
        {"source": name, "binding": id, "reason": track.bindings[id].note}
        for name, track in plan.tracks.items()
        if name not in plan.graph.shadows
        for id in sorted(track.failed)
    ]
    degraded += _put_off(plan)
    for key, became in plan.children.unsuccessful.items():
        degraded.append({"source": plan.live[key].owner, "binding": key, "reason": became})
    below = plan.children.account()
    said: dict[str, Any] = {
        "slug": slug,
        "reason": reason,
        "disputes": plan.disputes,
        "degraded": degraded,
        "coverage": coverage(plan),
        "cost_usd": plan.spent.usd + below.get("cost_usd", 0.0),
    }
    if tokens := plan.spent.tokens + below.get("tokens", 0):
        said["tokens"] = tokens
    if work := model_work(plan):
        said["models"] = work
    if below:
        said["children"] = below
    if left_out := _left_out(plan):
        said["left_out"] = left_out
    if plan.graph.shadows:
        said["shadow"] = coverage(plan, shadows=True)
        said["shadow_cost_usd"] = plan.spent_aside.usd
    return inherited(plan, said)


def coverage(plan: Plan, *, shadows: bool = False) -> dict[str, dict[str, str]]:
    """The grid of pages and sources, or of its shadows. A cell with several bindings shows the worst of them."""
    rank = (
        "failed",
        "unaffordable",
        "spent",
        "retry",
        "under_way",
        "ready",
        "waiting",
        "gone",
        "outbid",
        "skipped",
        "done",
    )
    grid: dict[str, dict[str, str]] = {}
    for name, track in plan.tracks.items():
        if (name in plan.graph.shadows) != shadows:
            continue
        row = grid.setdefault(name, {})
        for binding in track.bindings.values():
            cell = _cell(binding) if _is_by_page(plan, track) else BOARD
            if cell not in row or rank.index(binding.state) < rank.index(row[cell]):
                row[cell] = binding.state
    return {name: dict(sorted(row.items(), key=_by_page)) for name, row in grid.items()}


PAGE_FIELDS = frozenset({"page", "number"})
"""Fields by which an entry belongs to a page, where they lead its name."""


def _is_by_page(plan: Plan, track: Track) -> bool:
    node = track.node
    if node.by:
        return node.by in PAGE_FIELDS
    return bool(node.each) and all(
        PAGE_FIELDS.intersection(plan.graph.types[level].named_by[:1]) for level in node.each
    )


def _cell(binding: Binding) -> str:
    """The page a binding belongs to, read off its name; `board` for the rest."""
    name = name_of(binding.id) or binding.id
    digits = name[:4] if len(name) > 3 and name[:4].isdigit() else name
    return str(int(digits)) if digits.isdigit() else BOARD


def _by_page(item: tuple[str, str]) -> tuple[bool, int]:
    return (not item[0].isdigit(), int(item[0]) if item[0].isdigit() else 0)


def _required_failure(plan: Plan) -> tuple[str, str, str] | None:
    for name, track in plan.tracks.items():
        if track.node.source.required and track.failed:
            binding = track.bindings[min(track.failed)]
            error: dict[str, Any] = {}
            if binding.finished is not None and binding.finished.activation.status == "failed":
                error = dict(binding.finished.activation.data.get("error", {}))
            return binding.note or f"{name} failed", str(error.get("slug", "source-failed")), name
    return None


def _has_results(plan: Plan) -> bool:
    return any(plan.levels[level].versions for level in plan.graph.goal if plan.graph.contributors.get(level))
