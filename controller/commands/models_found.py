"""What `doctor` says of the language models, from what is known of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Finding = tuple[Literal["ok", "warn", "fail"], str, str]
"""State, words, hint."""
CONFIGURE = "set ANTHROPIC_API_KEY, or BLACKBOARD_MODEL_BASE_URL for a server of your own (docs/models.md)"


def findings(mode: Any, told: Mapping[str, Any]) -> Iterator[Finding]:
    """`mode`: of submissions that name none; `told`: see controller.condition."""
    asked = mode != "off" and (isinstance(mode, str) or set(mode.values()) != {"off"})
    default = mode if isinstance(mode, str) else ", ".join(f"{level} {how}" for level, how in mode.items())
    if not told["configured"]:
        if asked:
            yield "fail", f"BLACKBOARD_MODELS is {default}, but no language model is configured", CONFIGURE
        else:
            yield "ok", "no language model is configured: the local sources alone", ""
        return
    if told["problem"]:
        yield "fail", told["problem"], "set BLACKBOARD_MODEL_BASE_URL or ANTHROPIC_BASE_URL right, or unset it"
    where = f"{', '.join(told['names'])} at {told['base_url']}, {'with' if told['has_key'] else 'without'} a key"
    when = (
        f"asked by default: {default}" if asked else "asked only where a submission says so (--models auto or always)"
    )
    yield "ok", f"{where}; {when}", ""
    for each in told["fallbacks"]:
        yield "ok", f"fallback: {', '.join(each['names'])} at {each['base_url']}", ""
    if told["cassette"]:
        yield "warn", "answers come from a folder of recordings (BLACKBOARD_MODEL_CASSETTE)", ""
    if told["capabilities"] is not None:
        yield _capabilities(told["capabilities"])
    for each in told["endpoints"]:
        if each["breaker"] is not None and each["breaker"]["state"] != "closed":
            yield "warn", f"{each['model']} is not asked: {_breaker(each['breaker'])}", ""
    caps = told["caps_usd"]
    yield (
        "ok",
        f"caps: {caps['board']:g} USD a board, {caps['tenant_day']:g} a tenant and day, {caps['day']:g} a day",
        "",
    )
    if (spent := told["spent_today"]) is not None:
        state: Literal["ok", "warn"] = "ok" if spent["left_usd"] > 0 else "warn"
        yield state, f"today: {spent['spent_usd']:.4f} of {spent['cap_usd']:g} USD", ""


def _capabilities(found: Mapping[str, Any]) -> Finding:
    names = [name for name, can in found.items() if name != "notes"]
    lacking = [name.replace("_", " ") for name in names if not found[name]]
    notes = "; ".join(found["notes"])
    if not found["messages"]:
        return "fail", f"the server answers no questions{f': {notes}' if notes else ''}", CONFIGURE
    if lacking:
        return "warn", f"the server is without {', '.join(lacking)}: done otherwise, or left out", notes
    return "ok", "the server can do all that is used", notes


def _breaker(state: Mapping[str, Any]) -> str:
    said = f"its breaker is {state['state']}"
    if state["until"]:
        said += f" until {datetime.fromtimestamp(state['until'] / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return said
