"""The routes: messages, plain and streamed, counts of tokens, and what tests in other processes steer it by."""

from __future__ import annotations

import secrets
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from tests.models import tokens
from tests.models.checking import Refused, check, check_key, noticed
from tests.models.events import Answer, error_body, error_event, stream
from tests.models.faults import Fault
from tests.models.record import Call
from tests.models.sending import Plan, Scripted, Slowly

if TYPE_CHECKING:
    from tests.models.server import ModelServer

STATUS_OF = {"overloaded_error": 529, "api_error": 500, "timeout_error": 504, "rate_limit_error": 429, "garbage": 200}
"""What an error in the middle of a stream is where no stream was asked for."""


def make_app(server: ModelServer, extra: FastAPI | None = None) -> FastAPI:
    """The application of one server; routes of `extra` come first."""
    app = FastAPI(openapi_url=None)
    if extra is not None:
        app.router.routes.extend(extra.router.routes)

    def over() -> None:
        server.under_way -= 1

    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        call = await _recorded(server, server.calls, request)
        server.under_way += 1
        server.most_under_way = max(server.most_under_way, server.under_way)
        try:
            fault = server.fault_for(call)
            call.fault = fault.name or "unnamed" if fault else ""
            await server.turn()
            plan = _plan(server, call, fault or Fault())
        except BaseException:
            over()
            raise
        plan.over = over
        return _sent(server, call, plan)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> Response:
        call = await _recorded(server, server.counts, request)
        fault = server.fault_for(call, counting=True)
        call.fault = fault.name if fault else ""
        return _sent(server, call, _counted(server, call, fault or Fault()))

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def other(request: Request) -> Response:
        call = await _recorded(server, server.others, request)
        refused = Refused(404, "not_found_error", f"{request.method} {request.url.path} not found")
        return _sent(server, call, _error(server, call, refused.fault))

    return app


async def _recorded(server: ModelServer, into: list[Call], request: Request) -> Call:
    body = await request.body()
    call = Call(
        number=len(into) + 1,
        at=server.clock(),
        path=request.url.path,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw),
        body=body,
        request_id=f"req_{secrets.token_hex(12)}",
    )
    into.append(call)
    return call


def _sent(server: ModelServer, call: Call, plan: Plan) -> Response:
    call.status = 0 if plan.fault.cut == "connected" or plan.fault.hang == "connected" else plan.status

    def finished() -> None:
        call.finished = True

    plan.finished = finished
    return (Slowly if plan.fault.slow_s else Scripted)(plan, server.closing)


def _headers(server: ModelServer, call: Call, fault: Fault, content_type: str) -> dict[str, str]:
    headers = {"content-type": content_type, "date": formatdate(server.clock(), usegmt=True)}
    if fault.request_id and "request-id" not in server.settings.lacks:
        headers["request-id"] = call.request_id
    if fault.rate_headers and "rate-headers" not in server.settings.lacks:
        headers |= server.levels(call.account).headers()
    return headers | dict(fault.headers)


def _error(server: ModelServer, call: Call, fault: Fault) -> Plan:
    body = error_body(fault.type or "api_error", fault.message, fault.code, call.request_id)
    return Plan(fault.status, _headers(server, call, fault, "application/json"), [orjson.dumps(body)], fault=fault)


def _raw(server: ModelServer, call: Call, fault: Fault) -> Plan:
    body = fault.body or ""
    data = body.encode() if isinstance(body, str) else body
    return Plan(fault.status, _headers(server, call, fault, fault.content_type), [data], fault=fault)


def _counted(server: ModelServer, call: Call, fault: Fault) -> Plan:
    if fault.is_error:
        return _error(server, call, fault)
    if fault.body is not None:
        return _raw(server, call, fault)
    try:
        check_key(server.settings, call)
        if "counting" in server.settings.lacks:
            raise Refused(404, "not_found_error", "POST /v1/messages/count_tokens not found")
        check(server.settings, call, counting=True)
    except Refused as refused:
        return _error(server, call, refused.fault)
    body = orjson.dumps({"input_tokens": tokens.count(call.said)})
    return Plan(200, _headers(server, call, fault, "application/json"), [body], fault=fault)


def _plan(server: ModelServer, call: Call, fault: Fault) -> Plan:
    if fault.is_error:
        return _error(server, call, fault)
    if fault.body is not None:
        return _raw(server, call, fault)
    if fault.type and fault.type != "garbage" and not call.streamed:
        return _error(server, call, replace(fault, status=STATUS_OF.get(fault.type, 400)))
    try:
        check_key(server.settings, call)
        check(server.settings, call)
        wait = server.levels(call.account).wait_s(requests=1, input=tokens.count(call.said), output=1)
        if wait:
            raise Refused(429, "rate_limit_error", "over the rate limit", {"retry-after": str(int(wait) + 1)})
        answer = _answer(server, call, fault)
    except Refused as refused:
        return _error(server, call, refused.fault)
    return (_streamed if call.streamed else _plain)(server, call, fault, answer)


def _answer(server: ModelServer, call: Call, fault: Fault) -> Answer:
    said = call.said
    try:
        text = fault.answer if fault.answer is not None else server.answer(noticed(said, server.settings.ignores))
    except Exception as error:  # whatever a test's own brain raises is the server's fault
        raise Refused(500, "api_error", f"{type(error).__name__}: {error}") from error
    text, stop = _stopped(text, fault.stop_reason, said["max_tokens"])
    produced = max(1, tokens.tokens_of(text))
    usage = _input(server, call)
    if fault.spends:
        call.usage = {**usage, "output_tokens": produced}
        call.answer = text
        fresh = usage["input_tokens"] + usage.get("cache_creation_input_tokens", 0)
        server.levels(call.account).take(requests=1, input=fresh, output=produced)
    return Answer(f"msg_{secrets.token_hex(12)}", call.model, text, stop, usage, produced)


def _stopped(text: str, stop: str | None, limit: int) -> tuple[str, str | None]:
    """The text as far as it gets, and why it stops."""
    if stop == "end_turn" and tokens.tokens_of(text) > limit:
        stop = "max_tokens"
    if stop == "max_tokens":
        most = min(limit, len(text) // (2 * tokens.BYTES_PER_TOKEN) + 1)
        return text.encode()[: tokens.BYTES_PER_TOKEN * most].decode("utf-8", "ignore"), stop
    return "" if stop == "refusal" else text, stop


def _input(server: ModelServer, call: Call) -> dict[str, int]:
    if "caching" in server.settings.lacks | server.settings.ignores:
        return {"input_tokens": tokens.count(call.said)}
    use = server.cache.use(call.account, call.said)
    return {
        "input_tokens": use.input,
        "cache_creation_input_tokens": use.written,
        "cache_read_input_tokens": use.read,
    }


def _plain(server: ModelServer, call: Call, fault: Fault, answer: Answer) -> Plan:
    body = orjson.dumps(answer.message())
    headers = _headers(server, call, fault, "application/json")
    half = len(body) // 2
    if fault.truncate or fault.type == "garbage":
        return Plan(200, headers, [body[:half]], fault=fault)
    pieces = [body[:half], body[half:]] if fault.cut or fault.hang or fault.slow_s else [body]
    return Plan(200, headers, pieces, 1, fault)


def _streamed(server: ModelServer, call: Call, fault: Fault, answer: Answer) -> Plan:
    pieces, middle = stream(answer)
    if fault.type == "garbage":
        pieces = [*pieces[:middle], b'event: content_block_delta\ndata: {"type": "content_bl\n\n']
    elif fault.type:
        pieces = [*pieces[:middle], error_event(fault.type, fault.message, fault.code, call.request_id)]
    elif fault.truncate:
        pieces = pieces[:middle]
    elif fault.stop_reason is None:
        pieces = [piece for piece in pieces if not piece.startswith(b"event: message_delta")]
    return Plan(200, _headers(server, call, fault, "text/event-stream; charset=utf-8"), pieces, middle, fault)
