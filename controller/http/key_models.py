"""Shapes of requests and answers about keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.access import DEFAULT_TENANT, Scope
from controller.http.models import Millis

WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Word = Annotated[str, Field(pattern=WORD)]
ADVICE: list[Scope] = ["read", "submit", "contribute"]


class Asked(BaseModel):
    """A request's object; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyRequest(Asked):
    """A key to be made. What it contributes carries `person:<name>`."""

    name: Annotated[Word, Field(description="Whose it is, or what for.", examples=["scanner"])]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5, description="None that your key lacks.")] = ADVICE
    tenant: Annotated[
        Word | None, Field(description="Yours if left out. Another takes `operate`.", examples=[DEFAULT_TENANT])
    ] = None
    expires_in_s: Annotated[float | None, Field(ge=1, le=3_153_600_000, description="Never, if left out.")] = None
    requests_per_minute: Annotated[
        int | None,
        Field(ge=0, le=1_000_000, description="As is set for all, if left out; 0: any number. More takes `operate`."),
    ] = None
    streams: Annotated[
        int | None,
        Field(ge=0, le=1_000_000, description="Open at a time; as is set for all, if left out. More takes `operate`."),
    ] = None


class RotateRequest(Asked):
    """A new secret for a key."""

    overlap_s: Annotated[float, Field(ge=0, le=30 * 86_400, description="How long the old one stays good.")] = 86_400.0


class KeyModel(BaseModel):
    """A key without its secret. `last_used` is at most a minute behind; null: never, or as is set for all."""

    id: str
    name: str
    tenant: str
    scopes: list[Scope]
    status: Literal["active", "expired", "revoked"]
    created: Millis
    created_by: str
    expires: Millis | None
    last_used: Millis | None
    rotated: Millis | None
    overlap_until: Millis | None
    revoked: Millis | None
    requests_per_minute: int | None
    streams: int | None


class SecretModel(KeyModel):
    """A key with its secret, which is told this once."""

    secret: Annotated[str, Field(description="Send it as `Authorization: Bearer <secret>`.")]


class KeyList(BaseModel):
    """Keys, oldest first; those that ended within the last 30 days are among them."""

    items: list[KeyModel]
    next_cursor: str | None
