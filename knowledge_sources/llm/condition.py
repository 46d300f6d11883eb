"""How models stand: what is configured, what the servers were found to do, breakers, limits, and money left today."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import structlog

from blackboard.errors import BlackboardError, UsageError
from knowledge_sources.llm.accounts import level
from knowledge_sources.llm.address import address
from knowledge_sources.llm.breaker import BreakerState
from knowledge_sources.llm.caps import Level
from knowledge_sources.llm.limits_state import LimitsState
from knowledge_sources.llm.ports import Capabilities, Endpoint
from knowledge_sources.llm.settings import ModelSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of it come from; what is left out is told as unknown."""

    known: Callable[[str], Awaitable[Capabilities | None]] | None = None
    """What the first server was last found to do with a model."""
    probe: Callable[[str], Awaitable[Capabilities]] | None = None
    """The same, found out if need be."""
    breaker: Callable[[Endpoint], Awaitable[BreakerState]] | None = None
    limits: Callable[[Endpoint], Awaitable[LimitsState]] | None = None
    levels: Callable[[str], Awaitable[Mapping[str, Level]]] | None = None
    """What a tenant spent today, by cap."""


class ModelCondition:
    """See controller.condition.Condition."""

    def __init__(self, settings: ModelSettings, parts: Parts | None = None) -> None:
        self._settings, self._parts = settings, parts or Parts()

    @property
    def configured(self) -> bool:
        """See Condition."""
        return self._settings.configured

    async def look(self, *, tenant: str = "", probe: bool = False) -> dict[str, Any]:
        """See Condition."""
        settings, parts = self._settings, self._parts
        told: dict[str, Any] = {"configured": settings.configured}
        if not settings.configured:
            return told
        url, problem = settings.base_url, ""
        try:
            url = address(url)
        except UsageError as error:
            # Boards without models go on; with them, every question will say the same.
            problem = str(error)
        find = parts.probe if probe and parts.probe is not None else parts.known
        found = await _tried("capabilities", find(settings.names[0]) if find is not None and settings.names else None)
        told |= {
            "problem": problem,
            "base_url": shown(settings.base_url),
            "names": list(settings.names),
            "has_key": bool(settings.api_key.get_secret_value()),
            "fallbacks": [
                {"base_url": shown(each.base_url), "names": list(each.models)} for each in settings.fallbacks
            ],
            "cassette": settings.cassette is not None,
            "window_tokens": settings.window_tokens,
            "capabilities": None if found is None else {**asdict(found), "notes": list(found.notes)},
            "endpoints": [await self._endpoint(Endpoint(url, name)) for name in settings.names],
            "caps_usd": {
                "board": settings.board_usd,
                "tenant_day": settings.tenant_day_usd,
                "day": settings.day_usd,
            },
            "spent_today": None,
        }
        if parts.levels is not None and tenant:
            levels = await _tried("spending", parts.levels(tenant))
            if levels is not None and "tenant_day" in levels:
                told["spent_today"] = level(levels["tenant_day"])
        return told

    async def _endpoint(self, endpoint: Endpoint) -> dict[str, Any]:
        """A model at the first server: its breaker and its limits."""
        parts = self._parts
        state = await _tried("breaker", parts.breaker(endpoint) if parts.breaker is not None else None)
        limits = await _tried("limits", parts.limits(endpoint) if parts.limits is not None else None)
        return {
            "model": endpoint.model,
            "breaker": None if state is None else _state(state),
            "limits": None if limits is None else asdict(limits),
        }


async def _tried(what: str, asked: Awaitable[T] | None) -> T | None:
    """What was asked, or None: whoever looks at one part must not be kept from the others."""
    if asked is None:
        return None
    try:
        return await asked
    except BlackboardError as error:
        log.warning("models.unknown", part=what, error=str(error))
        return None


def _state(state: BreakerState) -> dict[str, Any]:
    return {
        "state": state.state,
        "since": state.since,
        "until": state.until,
        "calls": state.calls,
        "failures": state.failures,
        "shared": state.shared,
    }


def shown(url: str) -> str:
    """An address without what may be a password or a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
