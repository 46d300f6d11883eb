"""Shapes of answers about spending on models. Money in dollars, exact to the billionth; tokens as servers count them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from controller.http.models import Millis

Outcome = Literal["answered", "cache", "recording", "failed", "unknown"]


class FiguresModel(BaseModel):
    """What calls came to."""

    calls: Annotated[int, Field(description="Sent to a server; answers that needed no call are not among them.")]
    usd: Annotated[float, Field(description="What they cost; of those whose end nobody saw, what was reserved.")]
    failed: int
    unknown: Annotated[int, Field(description="Whose end nobody saw: under way, or their process died.")]
    unpriced: Annotated[int, Field(description="Whose cost nobody knows; `usd` leaves them out.")]
    input_tokens: Annotated[int, Field(description="Neither read from nor written to the prompt cache.")]
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cached_share: Annotated[float, Field(description="Of all input tokens, those read from the prompt cache; 0 to 1.")]
    cache_saved_usd: Annotated[float, Field(description="Against plain input, less what writing to it cost more.")]
    avoided_calls: Annotated[int, Field(description="Answers that were kept or recorded.")]
    avoided_usd: Annotated[float, Field(description="What their calls had cost.")]
    mean_latency_ms: int


class SourceFigures(FiguresModel):
    """Of one knowledge source."""

    source: str


class ModelFigures(FiguresModel):
    """Of one model."""

    model: str


class OutcomeFigures(FiguresModel):
    """Of one outcome."""

    outcome: Outcome


class BoardFigures(FiguresModel):
    """Of one board, on that day."""

    board: str


class CapModel(BaseModel):
    """A cap and what stands against it."""

    cap_usd: float
    spent_usd: Annotated[float, Field(description="Settled; reservations whose holder died among it.")]
    reserved_usd: Annotated[float, Field(description="Set aside for calls under way.")]
    left_usd: float


class TenantCap(CapModel):
    """A tenant's, for the day."""

    tenant: str


class Breakdown(BaseModel):
    """The same calls, told apart by a word; the dearest first."""

    source: list[SourceFigures]
    model: list[ModelFigures]
    outcome: list[OutcomeFigures]


class DayBreakdown(Breakdown):
    """Boards too: the hundred dearest."""

    board: list[BoardFigures]


class DayCaps(BaseModel):
    """Caps of the day; none for days longer ago than a week."""

    tenants: list[TenantCap]


class PauseModel(BaseModel):
    """A tenant that spent too fast makes no calls until then, or until an operator resumes it."""

    tenant: str
    until: Millis


class SpendingModel(BaseModel):
    """A day's spending (UTC)."""

    day: Annotated[str, Field(examples=["2026-11-21"])]
    totals: FiguresModel
    by: DayBreakdown
    caps: DayCaps
    pauses: list[PauseModel]


class CallModel(BaseModel):
    """One line of the ledger: a call, or an answer that needed none."""

    id: str
    at: Annotated[int, Field(description="When it began, ms since 1970.")]
    source: str
    binding: str
    activation: str
    epoch: int
    server: str
    model: str
    prompt: Annotated[str, Field(description="`name@digest` of the task.")]
    request: Annotated[str, Field(description="SHA-256 of the question.")]
    outcome: Outcome
    usd: Annotated[float | None, Field(description="Null: nobody knows the price. Of `unknown`, what was reserved.")]
    saved_usd: float
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    failure: str
    request_id: str
    latency_ms: int


class CallList(BaseModel):
    """A page of a board's calls, oldest first, and what all of them came to."""

    board: str
    items: list[CallModel]
    next_cursor: str | None
    totals: FiguresModel
    by: Breakdown
    cap: Annotated[CapModel, Field(description="By the settings; the board's own budget may be lower.")]
