"""/v1/keys: API keys of the caller's tenant, for who may administer it; of every tenant, for who operates the service."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.errors import Forbidden
from controller.access import Caller
from controller.credentials import WORD, Key
from controller.http.body import optional, read_json, read_options, validated
from controller.http.door import Parameter, answer, api_of, caller_of, documented, query, whole, words
from controller.http.key_models import KeyList, KeyModel, KeyRequest, RotateRequest, SecretModel
from controller.http.problems import Problem, described
from controller.keyring import KeyUnknown

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["keys"])

KeyId = Annotated[str, Path(description="A key's id, the middle of the key.", examples=["k3v2aqkq4f4xw5jq"])]
LIMIT = Parameter(
    "limit", whole(1, 200), 50, {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Keys a page."
)
CURSOR = Parameter(
    "cursor",
    words(re.compile(r"[a-z0-9]{4,32}\Z", re.ASCII), "one that this listing gave"),
    "",
    {"type": "string"},
    "Where to go on: `next_cursor` of the page before.",
)
TENANT = Parameter(
    "tenant", words(WORD, "a tenant's name"), "", {"type": "string"}, "Another tenant's; takes the scope `operate`."
)
BODY = (
    "validation-error", "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "invalid-json",
    "invalid-encoding", "invalid-unicode", "duplicate-member", "json-too-deep",
)  # fmt: skip
SECRET = {"Cache-Control": "no-store"}


@router.post(
    "/keys",
    operation_id="keys.create",
    status_code=201,
    summary="Make a key",
    responses={
        201: {"model": SecretModel, "description": "`secret` is told this once; `Location` names the key."},
        **described("key-exists", "too-many-keys", *BODY),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyRequest"}}},
        }
    },
)
async def create_key(request: Request) -> Response:
    """For your tenant, with no scope that your own key lacks."""
    query(request)
    asked = validated(KeyRequest, await read_json(request))
    caller, keyring = caller_of(request), api_of(request).keyring
    tenant = asked.tenant or caller.tenant
    _check(caller, asked.scopes, tenant)
    rate, streams = await _limits(request, asked)
    key, secret = await keyring.create(
        asked.name,
        tenant=tenant,
        scopes=asked.scopes,
        by=caller.person,
        expires_s=asked.expires_in_s,
        rate=rate,
        streams=streams,
    )
    _log("created", key, caller)
    shown = {**key.show(key.created), "secret": secret}
    return answer(shown, 201, {**SECRET, "Location": f"/v1/keys/{key.id}"})


@router.get(
    "/keys",
    operation_id="keys.list",
    summary="List keys, oldest first",
    responses={200: {"model": KeyList, "description": "A page; `Link` names the next."}, **described()},
    openapi_extra=documented(LIMIT, CURSOR, TENANT),
)
async def list_keys(request: Request) -> Response:
    """No secret is among them: they are not kept."""
    given, caller = query(request, LIMIT, CURSOR, TENANT), caller_of(request)
    tenant = given[TENANT] or caller.tenant
    _check(caller, (), tenant)
    keyring = api_of(request).keyring
    found, now = await keyring.all(tenant), await keyring.now()
    places = {key.id: at for at, key in enumerate(found)}
    if given[CURSOR] and given[CURSOR] not in places:
        raise Problem("invalid-parameter", "`cursor` is not one that this listing gave.", parameter="cursor")
    first = places[given[CURSOR]] + 1 if given[CURSOR] else 0
    page = found[first : first + given[LIMIT]]
    onward = page[-1].id if first + len(page) < len(found) else None
    more = f"&tenant={given[TENANT]}" if given[TENANT] else ""
    headers = {"Link": f'</v1/keys?limit={given[LIMIT]}{more}&cursor={onward}>; rel="next"'} if onward else {}
    return answer({"items": [key.show(now) for key in page], "next_cursor": onward}, 200, headers)


@router.get(
    "/keys/{key}",
    operation_id="keys.get",
    summary="One key",
    responses={200: {"model": KeyModel}, **described()},
)
async def get_key(request: Request, key: KeyId) -> Response:
    """Whose it is, what it may, and when it was last used."""
    query(request)
    found = await _found(request, key)
    return answer(found.show(await api_of(request).keyring.now()))


@router.delete(
    "/keys/{key}",
    operation_id="keys.revoke",
    status_code=204,
    summary="Revoke a key",
    responses={204: {"description": "It opens nothing any more; it is listed for 30 days."}, **described()},
)
async def revoke_key(request: Request, key: KeyId) -> Response:
    """At once, in every process. You may revoke your own."""
    query(request)
    found = await _found(request, key)
    _check(caller_of(request), found.scopes, found.tenant)
    await api_of(request).keyring.revoke(found.id)
    _log("revoked", found, caller_of(request))
    return Response(status_code=204)


@router.post(
    "/keys/{key}/rotate",
    operation_id="keys.rotate",
    summary="Give a key another secret",
    responses={
        200: {"model": SecretModel, "description": "`secret` is told this once; id and name stay."},
        **described("key-ended", *BODY),
    },
    openapi_extra=optional(RotateRequest),
)
async def rotate_key(request: Request, key: KeyId) -> Response:
    """Both secrets are good for the overlap, a day if nothing is said; of more than two the oldest goes."""
    query(request)
    options = await read_options(request, RotateRequest)
    found = await _found(request, key)
    _check(caller_of(request), found.scopes, found.tenant)
    changed, secret = await api_of(request).keyring.rotate(found.id, overlap_s=options.overlap_s)
    _log("rotated", found, caller_of(request))
    return answer({**changed.show(changed.rotated), "secret": secret}, 200, SECRET)


def _log(what: str, key: Key, caller: Caller) -> None:
    log.info(f"keys.{what}", key=key.id, name=key.name, tenant=key.tenant, scopes=key.names, by=caller.person)


async def _found(request: Request, id: str) -> Key:
    caller = caller_of(request)
    try:
        key = await api_of(request).keyring.get(id)
    except KeyUnknown:
        raise Problem("not-found") from None
    if key.tenant != caller.tenant and not caller.operates:
        raise Problem("not-found")
    return key


def _check(caller: Caller, scopes: Collection[str], tenant: str) -> None:
    """Nobody gives what they have not, nor takes hold of a key that may more than theirs. Raises Forbidden."""
    if not caller.scopes >= set(scopes):
        raise Forbidden("the key lacks a scope that is asked for")
    if tenant != caller.tenant and not caller.operates:
        raise Forbidden("the key is for one tenant")


async def _limits(request: Request, asked: KeyRequest) -> tuple[int | None, int | None]:
    """Requests a minute and streams. Raises Forbidden for more than the own key has, unless the caller operates all."""
    api, caller = api_of(request), caller_of(request)
    if caller.operates:
        return asked.requests_per_minute, asked.streams
    own = await api.keyring.get(caller.key)
    return (
        _at_most(own.rate, asked.requests_per_minute, api.settings.limit_requests_per_minute),
        _at_most(own.streams, asked.streams, api.settings.limit_streams),
    )


def _at_most(own: int | None, asked: int | None, all: int) -> int | None:
    """What a key gets whose maker has `own`, where `all` is set for all; None is that, and 0 any number."""
    if asked is None:
        return own
    most = all if own is None else own
    if most and not 0 < asked <= most:
        raise Forbidden("more than the key's own")
    return asked
