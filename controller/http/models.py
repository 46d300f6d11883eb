"""Shapes of requests and answers. Requests are validated with these; answers are built as JSON and described by them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.policy import Budget, LevelName, Modes, Policy, Price, Strategy

Millis = Annotated[int, Field(description="Milliseconds since 1970, by the server's clock.")]


class Options(BaseModel):
    """A request's object; unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class DocumentOptions(Options):
    """What is asked of an analysis."""

    goal: Annotated[list[str], Field(max_length=100, description="Levels to settle; empty: all.")] = []
    sources: Annotated[list[str], Field(max_length=200, description="Sources that may work on it; empty: all.")] = []
    deadline_s: Annotated[float | None, Field(gt=0, le=2_592_000, description="Seconds until the best there is.")] = (
        None
    )
    shadow: Annotated[
        list[str], Field(max_length=200, description="Sources that write to the side space alone: they change nothing.")
    ] = []
    priority: Literal["interactive", "batch"] = "interactive"
    callback: Annotated[
        str,
        Field(
            max_length=2048,
            description="An address that is told of this board's end, signed with the tenant's own secret "
            "(`POST /v1/webhooks/callbacks/rotate`).",
        ),
    ] = ""
    hold: Annotated[Literal["", "review"], Field(description="`review`: wait for approval before the end.")] = ""
    strategy: Annotated[
        dict[LevelName, Strategy],
        Field(max_length=50, description="Level -> `opportunistic`, `market`, or an order of sources."),
    ] = {}
    floor: Annotated[
        dict[LevelName, Annotated[float, Field(ge=0, le=1)]],
        Field(max_length=50, description="Level -> confidence below which the next bidder is asked."),
    ] = {}
    price: Annotated[Price, Field(description="What a dollar and a second are worth, in expected value.")] = Price()
    budget: Annotated[Budget, Field(description="What the board may cost; then the best partial result.")] = Budget()

    models: Annotated[
        Modes | None,
        Field(
            description="How language models take part: `off`, `auto` or `always`, or level -> one of them; null: as the "
            "service is set up."
        ),
    ] = None

    def policy(self, models: Modes = "off") -> Policy:
        """What is asked of control. `models`: where it does not say. Raises ValidationError."""
        return Policy(
            strategy=self.strategy,
            floor=self.floor,
            price=self.price,
            budget=self.budget,
            models=models if self.models is None else self.models,
        )


class TextDocument(DocumentOptions):
    """A text to analyse."""

    text: str
    filename: str | None = None


class UrlDocument(DocumentOptions):
    """A document to fetch: by a worker, over https, from a public address, following no redirects."""

    url: Annotated[str, Field(json_schema_extra={"maxLength": 2048}, examples=["https://example.org/offer.pdf"])]
    filename: str | None = None


class FileDocument(DocumentOptions):
    """A file to analyse. In a form, lists are separated by commas; `strategy`, `floor`, `price` and `budget` are JSON, and
    so is `models` unless it is one word."""

    file: Annotated[str, Field(json_schema_extra={"format": "binary"})]


class RetryOptions(Options):
    """What to try again on an open board."""

    activation: Annotated[str | None, Field(max_length=200)] = None


class ForkOptions(Options):
    """Where the new board begins."""

    at: Annotated[int | None, Field(ge=1, le=10**12, description="A revision; null: the last one there is.")] = None


class NoOptions(Options):
    """An empty object, or no body at all."""


class FieldError(BaseModel):
    """Where a body is off."""

    pointer: Annotated[str, Field(description="JSON Pointer (RFC 6901) into the body.")]
    detail: str


class Failure(BaseModel):
    """What went wrong, as RFC 9457 has it. `type` resolves to a page that explains it."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    title: str
    status: int
    detail: str


class Problem(Failure):
    """An answer that is an error."""

    request_id: Annotated[str, Field(description="Finds the request in the log; `X-Request-ID` says it too.")]
    instance: str | None = None
    errors: list[FieldError] = []


class Outcome(BaseModel):
    """How a board ended."""

    model_config = ConfigDict(extra="allow")

    slug: str
    reason: str
    disputes: int = 0
    degraded: list[dict[str, Any]] = []
    coverage: dict[str, dict[str, str]] = {}
    cost_usd: float = 0.0
    partial: bool = False
    models: Annotated[
        dict[str, Any] | None,
        Field(description="Where models were asked for: the mode, what they did and cost, and what was avoided."),
    ] = None
    children: Annotated[
        dict[str, float] | None,
        Field(description="How many child boards came to what, and what they and the boards below them cost."),
    ] = None


class ChildModel(BaseModel):
    """A board of its own for a part of this one's document, as this one knows of it."""

    key: Annotated[str, Field(description="Its entry on this board.")]
    name: str
    board: str
    filename: str | None
    sha256: str
    size: int
    status: Literal["open", "completed", "failed", "cancelled"]
    reason: str
    title: str
    boards: Annotated[
        int, Field(description="It, and the boards below it: cost, tokens and seconds are of all of them.")
    ]
    cost_usd: float
    tokens: int
    wall_s: float
    links: dict[str, str]


class BoardModel(BaseModel):
    """A board. `entries`, `values` and `activations` are there only with `?at=`, `children` not in listings."""

    id: str
    status: Literal["open", "completed", "failed", "cancelled"]
    revision: int
    incarnation: str
    created: Millis
    ended: Millis | None = None
    filename: str | None = None
    goal: list[str]
    sources: dict[str, str]
    policy: Annotated[dict[str, Any], Field(description="What was asked of control, where it differs.")] = {}
    models: Annotated[Modes, Field(description="How language models take part in it.")] = "off"
    shadow: dict[str, str] | None = None
    backfill: dict[str, Any] | None = None
    priority: Literal["interactive", "batch"]
    hold: str | None = None
    deadline_ms: int | None = None
    parent: Annotated[str | None, Field(description="The board and revision that this one was forked from.")] = None
    opened_by: Annotated[str | None, Field(description="The board that this one is a child of.")] = None
    depth: int | None = None
    approved: str | None = None
    cancelled_by: str | None = None
    outcome: Outcome | None = None
    problem: Annotated[Failure | None, Field(description="Why it failed.")] = None
    links: dict[str, str]
    children: list[ChildModel] | None = None
    entries: list[EntryModel] | None = None
    activations: list[ActivationModel] | None = None


class BoardList(BaseModel):
    """One page, newest first."""

    items: list[BoardModel]
    next_cursor: str | None


class EntryModel(BaseModel):
    """One entry with its value. `rival_of`: the entry it is a suggestion beside."""

    key: str
    level: str
    name: str
    version: int
    confidence: float
    owner: str
    pinned: bool
    activation: str
    digest: str
    size: int
    rival_of: str | None = None
    space: Literal["shadow"] | None = None
    source: str | None = None
    against: Literal["same", "different", "absent"] | None = None
    value: Any


class EntryList(BaseModel):
    """Live entries in key order, as of one revision. `missing`: what shadows did not contribute and their sources did."""

    board: str
    revision: int
    items: list[EntryModel]
    missing: list[str] | None = None


class InputModel(BaseModel):
    """What an activation reads. `checked`: whether a change of it makes the activation stale."""

    key: str
    version: int
    checked: bool


class ActivationModel(BaseModel):
    """One run of a source on one binding, and when it was put on the agenda, claimed and finished."""

    model_config = ConfigDict(extra="allow")

    id: str
    status: Literal["pending", "running", "done", "failed", "stale", "cancelled"]
    epoch: int
    source: str
    version: str
    binding: str
    inputs: list[InputModel]
    pending_at: Millis | None = None
    claimed_at: Millis | None = None
    finished_at: Millis | None = None


class ActivationList(BaseModel):
    """A board's agenda in order of appearance."""

    board: str
    revision: int
    items: list[ActivationModel]


class ReportModel(BaseModel):
    """The analysis. While `partial`, `contributions` holds what there is on each level."""

    board: str
    status: str
    revision: int
    partial: bool
    outcome: Outcome | None = None
    report: dict[str, Any] | None
    contributions: dict[str, list[EntryModel]] | None = None


class Check(BaseModel):
    """One check of readiness. `advisory`: it may fail and the process is ready all the same."""

    ok: bool
    ms: float
    error: str | None = None
    advisory: bool | None = None
    unserved: list[str] | None = None
    unheld: list[int] | None = None
    missing: list[str] | None = None
    doubts: list[str] | None = None
    waiting: int | None = None
    limit: int | None = None


class Health(BaseModel):
    """Whether the process lives, or is ready to serve."""

    status: Literal["ok", "ready", "unavailable"]
    checks: dict[str, Check] | None = None


BoardModel.model_rebuild()
