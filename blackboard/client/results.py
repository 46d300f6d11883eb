"""What a service answers, typed. Members that a newer service adds are in `raw`, which is always the whole answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from blackboard.errors import ServiceError

T = TypeVar("T")

Status = Literal["open", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a board ended: `slug` and `reason`; what was disputed or left undone; what it cost in US dollars."""

    slug: str
    reason: str
    partial: bool = False
    disputes: int = 0
    cost_usd: float = 0.0
    degraded: list[dict[str, Any]] = field(default_factory=list)
    coverage: dict[str, dict[str, str]] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Board:
    """A board. Times are milliseconds since 1970."""

    id: str
    status: Status
    revision: int
    created: int = 0
    ended: int | None = None
    filename: str | None = None
    priority: str = "interactive"
    incarnation: str = ""
    goal: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    parent: str | None = None
    outcome: Outcome | None = None
    problem: dict[str, Any] | None = None
    links: dict[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it can still change."""
        return self.status == "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """One hypothesis in one version. `rival_of`: the entry that it is a suggestion beside."""

    key: str
    version: int
    value: Any
    level: str = ""
    name: str = ""
    confidence: float = 1.0
    owner: str = ""
    pinned: bool = False
    activation: str = ""
    rival_of: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit came to. `entries`: for each write its `key`, its `version`, and whether it `changed` anything."""

    board: str
    revision: int
    at: int = 0
    already: bool = False
    entries: list[dict[str, Any]] = field(default_factory=list)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """The analysis: `report`, empty while there is none. Then, and while it is `partial`, `contributions` has each level."""

    board: str
    status: Status
    revision: int
    partial: bool
    report: dict[str, Any]
    outcome: Outcome | None = None
    contributions: dict[str, list[Entry]] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `secret` is there once, in the answer that made it. Times are milliseconds since 1970."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    status: Literal["active", "expired", "revoked"]
    created: int = 0
    expires: int | None = None
    last_used: int | None = None
    requests_per_minute: int | None = None
    streams: int | None = None
    secret: str = field(default="", repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told of boards. `secret` is there once, in the answer that made it; `reason`: why it was disabled."""

    id: str
    url: str | None
    events: list[str]
    enabled: bool
    description: str = ""
    reason: str | None = None
    failing_since: int | None = None
    last_delivered: int | None = None
    secret: str = field(default="", repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver, with every attempt."""

    id: str
    type: str
    status: Literal["pending", "delivered", "failed"]
    board: str | None = None
    created: int = 0
    next_attempt: int | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def board_of(raw: Mapping[str, Any]) -> Board:
    """A board as it is answered."""
    return build(Board, raw, outcome=_outcome(raw))


def entry_of(raw: Mapping[str, Any]) -> Entry:
    """An entry as it is answered."""
    return build(Entry, raw)


def committed_of(raw: Mapping[str, Any]) -> Committed:
    """What a commit came to, as it is answered."""
    return build(Committed, raw)


def report_of(raw: Mapping[str, Any]) -> Report:
    """A report as it is answered."""
    levels = raw.get("contributions") or {}
    contributions = {level: [entry_of(each) for each in items] for level, items in levels.items()}
    return build(Report, raw, report=raw.get("report") or {}, outcome=_outcome(raw), contributions=contributions)


def key_of(raw: Mapping[str, Any]) -> Key:
    """A key as it is answered."""
    return build(Key, raw)


def webhook_of(raw: Mapping[str, Any]) -> Webhook:
    """A webhook as it is answered."""
    return build(Webhook, raw)


def delivery_of(raw: Mapping[str, Any]) -> Delivery:
    """A delivery as it is answered."""
    return build(Delivery, raw)


def _outcome(raw: Mapping[str, Any]) -> Outcome | None:
    said = raw.get("outcome")
    return build(Outcome, said) if isinstance(said, dict) else None


def build(kind: Callable[..., T], raw: Mapping[str, Any], **made: Any) -> T:
    """The members that a dataclass has, `made` instead of those that were sent. Raises ServiceError where one is missing."""
    known = {each.name for each in fields(kind)} - {"raw"}  # type: ignore[arg-type]
    try:
        return kind(**{name: raw[name] for name in known & raw.keys()} | made, raw=raw)
    except (TypeError, AttributeError) as error:
        raise ServiceError(
            f"the answer is not what was asked for: {error}", hint="is the address that of this service?"
        ) from error
