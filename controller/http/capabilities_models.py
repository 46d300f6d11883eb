"""The shape of what a service says that it can do."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from controller.http.models import Millis
from controller.policy import Modes

Usd = Annotated[float, Field(description="Dollars.")]


class FoundModel(BaseModel):
    """What a model's server was found to do. Where something is missing, it is done without."""

    messages: bool
    streaming: bool
    schema_output: bool
    count_tokens: bool
    documents: bool
    pictures: bool
    caching: bool
    notes: list[str]


class BreakerModel(BaseModel):
    """Whether a model is asked at all. `until`: when an open breaker lets a call try. `shared`: as the whole fleet saw it."""

    state: str
    since: Millis | None
    until: Millis | None
    calls: int
    failures: int
    shared: bool


class EndpointModel(BaseModel):
    """One model."""

    model: str
    breaker: BreakerModel | None
    limits: Annotated[dict[str, Any] | None, Field(description="Room left in this minute, where limits are known.")]


class FallbackModel(BaseModel):
    """Another server, asked when the first is out of order."""

    base_url: str
    names: list[str]


class SpentModel(BaseModel):
    """The caller's money of today."""

    cap_usd: Usd
    spent_usd: Usd
    reserved_usd: Usd
    left_usd: Usd


class ModelsModel(BaseModel):
    """Language models. Only `default` and `configured` are there where none is configured; null: not known."""

    default: Annotated[Modes, Field(description="The mode of a submission that names none.")]
    configured: bool
    problem: Annotated[str, Field(description="Why no model can be asked as things are set.")] = ""
    base_url: str | None = None
    names: Annotated[list[str], Field(description="In the order they are asked.")] = []
    has_key: bool = False
    fallbacks: list[FallbackModel] = []
    cassette: Annotated[bool, Field(description="Whether answers come from, or go to, a folder of recordings.")] = False
    window_tokens: int | None = None
    capabilities: FoundModel | None = None
    endpoints: list[EndpointModel] = []
    caps_usd: dict[str, Usd] = {}
    spent_today: SpentModel | None = None


class CapabilitiesModel(BaseModel):
    """What this service can do."""

    version: str
    levels: Annotated[list[str], Field(description="What boards can hold.")]
    max_upload_bytes: int
    models: ModelsModel
