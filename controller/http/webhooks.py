"""/v1/webhooks: who is told of boards, every attempt to do so, and doing it again."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.errors import UsageError
from controller.http.body import read_json, read_options, validated
from controller.http.door import Parameter, answer, api_of, caller_of, documented, query, whole
from controller.http.models import NoOptions
from controller.http.problems import Problem, described
from controller.http.webhook_models import (
    DeliveryList,
    DeliveryModel,
    NewWebhook,
    RedeliveredModel,
    RedeliverOptions,
    RotateOptions,
    WebhookChange,
    WebhookList,
    WebhookModel,
)
from controller.webhooks.records import CALLBACKS, ENDS, Delivery, Webhook
from controller.webhooks.registry import Told, Webhooks
from controller.webhooks.signing import shown

router = APIRouter(prefix="/v1", tags=["webhooks"])

WebhookId = Annotated[
    str,
    Path(
        description="A webhook's id; `callbacks` for what is sent to addresses given with single boards.",
        examples=["wh_k3v2aqkq4f4xw5jq6nqzvtn3ma"],
    ),
]
DeliveryId = Annotated[str, Path(description="A delivery's id.", examples=["msg_k3v2aqkq4f4xw5jq6nqzvtn3ma"])]
WEBHOOK = re.compile(rf"(wh_[a-z2-7]{{26}}|{CALLBACKS})\Z")
DELIVERY = re.compile(r"msg_[a-z2-7]{26}\Z")
CURSOR = Parameter("cursor", str, "", {"type": "string"}, "Where to go on: `next_cursor` of the page before.")
LIMIT = Parameter(
    "limit", whole(1, 200), 50, {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Items a page."
)
BODY = (
    "validation-error", "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "invalid-json",
    "invalid-encoding", "invalid-unicode", "duplicate-member", "json-too-deep",
)  # fmt: skip


def _takes(model: str, *, required: bool = True) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
        }
    }


@router.post(
    "/webhooks",
    operation_id="webhooks.create",
    status_code=201,
    summary="Make a webhook",
    responses={
        201: {"model": WebhookModel, "description": "With its secret, which is never shown again."},
        **described("webhook-exists", "too-many-webhooks", "url-not-allowed", *BODY),
    },
    openapi_extra=_takes("NewWebhook"),
)
async def create_webhook(request: Request) -> Response:
    """From now on it is told of the tenant's boards. Its messages are signed as Standard Webhooks 1.0 says."""
    query(request)
    asked = validated(NewWebhook, await read_json(request))
    told = await _webhooks(request).create(
        caller_of(request).tenant,
        asked.url,
        events=asked.events,
        description=asked.description,
        secret="" if asked.secret is None else _given(asked.secret),
    )
    return answer(_told(told), 201, {"Location": _base(told.webhook), "Cache-Control": "no-store"})


@router.get(
    "/webhooks",
    operation_id="webhooks.list",
    summary="Webhooks",
    responses={200: {"model": WebhookList}, **described()},
)
async def list_webhooks(request: Request) -> Response:
    """All there are, at most 50, oldest first."""
    query(request)
    found = await _webhooks(request).all(caller_of(request).tenant)
    return answer({"items": [_shown(each) for each in found]})


@router.get(
    "/webhooks/{webhook}",
    operation_id="webhooks.get",
    summary="One webhook",
    responses={200: {"model": WebhookModel}, **described()},
)
async def get_webhook(request: Request, webhook: WebhookId) -> Response:
    """Without its secret."""
    query(request)
    return answer(_shown(await _webhooks(request).get(caller_of(request).tenant, _known(webhook))))


@router.patch(
    "/webhooks/{webhook}",
    operation_id="webhooks.change",
    summary="Change a webhook",
    responses={
        200: {"model": WebhookModel},
        **described("webhook-exists", "url-not-allowed", *BODY),
    },
    openapi_extra=_takes("WebhookChange"),
)
async def change_webhook(request: Request, webhook: WebhookId) -> Response:
    """What waits to be delivered goes to the new address. Enabling one forgets why it was disabled."""
    query(request)
    id = _known(webhook)
    asked = validated(WebhookChange, await read_json(request))
    given = {name: value for name in asked.model_fields_set if (value := getattr(asked, name)) is not None}
    if "events" in given:
        given["events"] = tuple(dict.fromkeys(given["events"])) or ENDS
    return answer(_shown(await _webhooks(request).change(caller_of(request).tenant, id, given)))


@router.delete(
    "/webhooks/{webhook}",
    operation_id="webhooks.delete",
    status_code=204,
    summary="Delete a webhook",
    responses={204: {"description": "It is gone, with its deliveries."}, **described()},
)
async def delete_webhook(request: Request, webhook: WebhookId) -> Response:
    """What waits to be delivered is not delivered any more."""
    query(request)
    await _webhooks(request).delete(caller_of(request).tenant, _known(webhook))
    return Response(status_code=204)


@router.post(
    "/webhooks/{webhook}/rotate",
    operation_id="webhooks.rotate",
    summary="Take another secret",
    responses={
        200: {"model": WebhookModel, "description": "With the new secret, which is never shown again."},
        **described(*BODY),
    },
    openapi_extra=_takes("RotateOptions", required=False),
)
async def rotate_secret(request: Request, webhook: WebhookId) -> Response:
    """For a while messages carry two signatures, so that a receiver may change in its own time. For `callbacks` it draws
    the first secret as well."""
    query(request)
    id = _known(webhook)
    asked = await read_options(request, RotateOptions)
    secret = "" if asked.secret is None else _given(asked.secret)
    told = await _webhooks(request).rotate(caller_of(request).tenant, id, secret=secret, overlap_s=asked.overlap_s)
    return answer(_told(told), headers={"Cache-Control": "no-store"})


@router.post(
    "/webhooks/{webhook}/test",
    operation_id="webhooks.test",
    status_code=202,
    summary="Send a test message",
    responses={
        202: {"model": DeliveryModel, "description": "`Location` names the delivery, where its outcome will be."},
        **described(*BODY),
    },
    openapi_extra=_takes("NoOptions", required=False),
)
async def test_webhook(request: Request, webhook: WebhookId) -> Response:
    """A `webhook.test` is sent once, also to a webhook that is disabled, and is not tried again."""
    query(request)
    id = _known(webhook)
    await read_options(request, NoOptions)
    delivery = await _webhooks(request).test(caller_of(request).tenant, id)
    shown = _delivery(id, delivery)
    return answer(shown, 202, {"Location": shown["links"]["self"]})


@router.get(
    "/webhooks/{webhook}/deliveries",
    operation_id="webhooks.deliveries",
    summary="Deliveries of a webhook",
    responses={200: {"model": DeliveryList}, **described()},
    openapi_extra=documented(LIMIT, CURSOR),
)
async def list_deliveries(request: Request, webhook: WebhookId) -> Response:
    """Newest first, each with every attempt. They are kept for 14 days."""
    given = query(request, LIMIT, CURSOR)
    id, limit, after = _known(webhook), given[LIMIT], given[CURSOR]
    if after and not DELIVERY.match(after):
        raise _bad_cursor()
    try:
        found, onward = await _webhooks(request).deliveries(caller_of(request).tenant, id, after=after, limit=limit)
    except UsageError as error:
        raise (_bad_cursor() if error.slug == "usage" else Problem("not-found")) from None
    link = f'</v1/webhooks/{id}/deliveries?limit={limit}&cursor={onward}>; rel="next"'
    items = [_delivery(id, each) for each in found]
    return answer({"items": items, "next_cursor": onward or None}, headers={"Link": link} if onward else {})


@router.get(
    "/webhooks/{webhook}/deliveries/{delivery}",
    operation_id="webhooks.delivery",
    summary="One delivery",
    responses={200: {"model": DeliveryModel}, **described()},
)
async def get_delivery(request: Request, webhook: WebhookId, delivery: DeliveryId) -> Response:
    """With every attempt."""
    query(request)
    id = _known(webhook)
    if not DELIVERY.match(delivery):
        raise Problem("not-found")
    return answer(_delivery(id, await _webhooks(request).delivery(caller_of(request).tenant, id, delivery)))


@router.post(
    "/webhooks/{webhook}/redeliver",
    operation_id="webhooks.redeliver",
    status_code=202,
    summary="Deliver again",
    responses={202: {"model": RedeliveredModel}, **described(*BODY)},
    openapi_extra=_takes("RedeliverOptions"),
)
async def redeliver(request: Request, webhook: WebhookId) -> Response:
    """One delivery, whatever became of it, or all that failed for good. Under the same `webhook-id`, so that a receiver
    that did get it finds out."""
    query(request)
    id = _known(webhook)
    asked = validated(RedeliverOptions, await read_json(request))
    if (asked.delivery is None) == (asked.since is None):
        raise Problem("validation-error", errors=[("", "give either `delivery` or `since`")])
    hooks, tenant = _webhooks(request), caller_of(request).tenant
    if asked.delivery is not None:
        if not DELIVERY.match(asked.delivery):
            raise Problem("not-found")
        count = await hooks.redeliver(tenant, id, asked.delivery)
    else:
        count = await hooks.redeliver_failed(tenant, id, asked.since or 0)
    return answer({"redelivered": count}, 202)


def _webhooks(request: Request) -> Webhooks:
    return api_of(request).webhooks


def _known(id: str) -> str:
    """Raises the one `not-found` for what no webhook can be called."""
    if not WEBHOOK.match(id):
        raise Problem("not-found")
    return id


def _given(secret: str) -> str:
    # "" would mean that none was given.
    return secret or "-"


def _bad_cursor() -> Problem:
    return Problem("invalid-parameter", "`cursor` is not one that this listing gave.", parameter="cursor")


def _base(webhook: Webhook) -> str:
    return f"/v1/webhooks/{webhook.id if webhook.url else CALLBACKS}"


def _told(told: Told) -> dict[str, Any]:
    return _shown(told.webhook) | {"secret": shown(told.secret)}


def _shown(webhook: Webhook) -> dict[str, Any]:
    base = _base(webhook)
    found: dict[str, Any] = {
        "id": base.rpartition("/")[2],
        "url": webhook.url or None,
        "events": list(webhook.events),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "created": webhook.created,
        "changed": webhook.changed,
        "links": {"self": base, "deliveries": f"{base}/deliveries"},
    }
    more = {
        "reason": webhook.reason,
        "failing_since": webhook.failing,
        "last_delivered": webhook.delivered,
        "previous_until": webhook.previous_until,
    }
    return found | {name: value for name, value in more.items() if value}


def _delivery(webhook: str, delivery: Delivery) -> dict[str, Any]:
    base = f"/v1/webhooks/{webhook}"
    links = {"self": f"{base}/deliveries/{delivery.id}", "webhook": base}
    if delivery.board:
        links["board"] = f"/v1/boards/{delivery.board}"
    attempts = [
        {"at": each.at, "ms": each.ms, "status": each.status or None, "error": each.error or None}
        for each in delivery.attempts
    ]
    return {
        "id": delivery.id,
        "type": delivery.type,
        "board": delivery.board or None,
        **({"url": delivery.url} if delivery.url else {}),
        "status": delivery.status,
        "created": delivery.created,
        "next_attempt": delivery.next or None,
        "attempts": attempts,
        "links": links,
    }
