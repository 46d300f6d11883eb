"""Shapes of requests and answers about webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.http.models import Millis, Options

EventName = Literal["board.completed", "board.failed", "board.cancelled", "board.created"]
Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="A public https address, on port 443 or 8443.",
        examples=["https://example.com/hooks/blackboard"],
    ),
]
Events = Annotated[
    list[EventName],
    Field(max_length=20, description="What it is told of; empty: how boards end. `board.created` must be asked for."),
]
Description = Annotated[str, Field(max_length=500)]
Secret = Annotated[
    str,
    Field(max_length=200, description="`whsec_` and the base64 of 24 to 64 bytes; left out, one is drawn."),
]


class NewWebhook(Options):
    """A webhook to make."""

    url: Address
    events: Events = Field(default_factory=list)
    description: Description = ""
    secret: Secret | None = None


class WebhookChange(Options):
    """What to change; what is left out stays."""

    url: Address | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = None


class RotateOptions(Options):
    """How to take another secret."""

    secret: Secret | None = None
    overlap_s: Annotated[
        int, Field(ge=0, le=604_800, description="How long the secret before signs as well, in seconds.")
    ] = 86_400


class RedeliverOptions(Options):
    """What to deliver again: one delivery, or everything that failed and was made since a time."""

    delivery: Annotated[str | None, Field(max_length=100)] = None
    since: Annotated[int | None, Field(ge=0, le=10**15, description="Milliseconds since 1970.")] = None


class WebhookModel(BaseModel):
    """A webhook. `secret` is there once, in the answer that made it; `reason`: why the service disabled it."""

    id: str
    url: str | None
    events: list[EventName]
    description: str
    enabled: bool
    reason: str | None = None
    created: Millis
    changed: Millis
    failing_since: Annotated[Millis | None, Field(description="Since when nothing could be delivered.")] = None
    last_delivered: Millis | None = None
    previous_until: Annotated[Millis | None, Field(description="Until when the secret before signs as well.")] = None
    secret: str | None = None
    links: dict[str, str]


class WebhookList(BaseModel):
    """Oldest first."""

    items: list[WebhookModel]


class AttemptModel(BaseModel):
    """One try. `status`: of the answer, null without one."""

    at: Millis
    ms: int
    status: int | None
    error: Annotated[
        Literal["status", "redirect", "timeout", "blocked", "unreachable", "disabled", "secret-unreadable"] | None,
        Field(description="What was wrong; null for an answer from 200 to 299."),
    ]


class DeliveryModel(BaseModel):
    """One message to one receiver. `id` is what is sent as `webhook-id`, over all attempts."""

    id: str
    type: str
    board: str | None
    url: Annotated[str | None, Field(description="Where to, if that is not the webhook's own address.")] = None
    status: Literal["pending", "delivered", "failed"]
    created: Millis
    next_attempt: Millis | None
    attempts: list[AttemptModel]
    links: dict[str, str]


class DeliveryList(BaseModel):
    """One page, newest first."""

    items: list[DeliveryModel]
    next_cursor: str | None


class RedeliveredModel(BaseModel):
    """How many deliveries are made again."""

    redelivered: int


class WebhookMessageData(BaseModel):
    """What a message is about. `slug`: how the board ended, in one word."""

    model_config = ConfigDict(extra="allow")

    board: str | None = None
    status: str | None = None
    revision: int | None = None
    slug: str | None = None
    partial: bool | None = None
    links: dict[str, str] = Field(default_factory=dict)


class WebhookMessage(BaseModel):
    """The body that a receiver gets."""

    type: str
    timestamp: Annotated[str, Field(description="When it happened, RFC 3339 in UTC.")]
    data: WebhookMessageData


def openapi_webhooks() -> dict[str, Any]:
    """The section `webhooks` of the OpenAPI document."""
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": about}
        for name, about in (
            ("webhook-id", "The same over all attempts."),
            ("webhook-timestamp", "Of this attempt, seconds since 1970."),
            (
                "webhook-signature",
                "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; two while a secret changes.",
            ),
        )
    ]
    return {
        type: {
            "post": {
                "operationId": type,
                "summary": about,
                "tags": ["webhooks"],
                "parameters": headers,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookMessage"}}},
                },
                "responses": {
                    "2XX": {"description": "Taken. Anything else is tried again."},
                    "410": {"description": "Nothing more is wanted: the webhook is disabled."},
                },
            }
        }
        for type, about in (
            ("board.completed", "A board is complete"),
            ("board.failed", "A board has failed"),
            ("board.cancelled", "A board was cancelled"),
            ("board.created", "A document was submitted"),
            ("webhook.test", "A test was asked for"),
        )
    }
