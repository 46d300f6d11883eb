"""What may go wrong with one call, by name: every way a server, or something before it, was seen to fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Where = Literal["", "connected", "headers", "middle"]
"""connected: before anything of an answer; headers: after its status and headers; middle: after some of its text."""


@dataclass(frozen=True)
class Fault:
    """One way to fail. What is not said is as in an answer that works."""

    name: str = ""
    status: int = 200
    type: str = ""
    """The error's type: with an error's status in a body, with 200 as an event in the middle of a stream."""
    code: str = ""
    """`error.details.error_code`."""
    message: str = "the server says no"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None
    """Sent instead of everything else, as `content_type`."""
    content_type: str = "application/json"
    cut: Where = ""
    """Where the connection ends without a word."""
    hang: Where = ""
    """From where on nothing comes."""
    slow_s: float = 0.0
    """Seconds between two pieces of a few bytes."""
    truncate: bool = False
    """A stream ends in good order before its message does."""
    stop_reason: str | None = "end_turn"
    answer: str | None = None
    """Instead of the right one."""
    rate_headers: bool = True
    request_id: bool = True

    @property
    def is_error(self) -> bool:
        """Whether it is an answer with an error's status."""
        return self.status >= 400 and self.body is None

    @property
    def spends(self) -> bool:
        """Whether the model may have been at work: the answer is begun, or was about to be."""
        return self.status == 200 and self.body is None and self.cut != "connected"


def _error(name: str, status: int, type: str, **more: Any) -> Fault:
    return Fault(name=name, status=status, type=type, **more)


def _all() -> Iterator[Fault]:
    yield _error("invalid", 400, "invalid_request_error", message="messages: at least one message is required")
    yield _error("too-long", 400, "invalid_request_error", message="prompt is too long: 201000 tokens > 200000 maximum")
    yield _error(
        "own-spend-limit", 400, "invalid_request_error",
        message="You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.",
    )  # fmt: skip
    yield _error("no-credit", 400, "invalid_request_error", message="Your credit balance is too low to access the API.")
    yield _error("bad-key", 401, "authentication_error", message="invalid x-api-key")
    yield _error("billing", 402, "billing_error", message="There is an issue with your organization's billing.")
    yield _error("linked-spend-limit", 402, "billing_error", code="linked_organization_spend_limit_reached")
    yield _error("forbidden", 403, "permission_error", message="Your API key does not have permission")
    yield _error("no-model", 404, "not_found_error", message="model: claude-nothing")
    yield _error("request-timeout", 408, "timeout_error")
    yield _error("conflict", 409, "conflict_error")
    yield _error("too-large", 413, "request_too_large", message="Request exceeds the maximum size")
    yield _error("unprocessable", 422, "invalid_request_error")
    yield _error("throttled", 429, "rate_limit_error")
    yield _error("throttled-1s", 429, "rate_limit_error", headers={"retry-after": "1"})
    yield _error("throttled-1h", 429, "rate_limit_error", headers={"retry-after": "3600"})
    for code in ("enforced_spend_limit_reached", "contract_spend_limit_reached", "ramp_limit_exceeded"):
        yield _error(code.replace("_", "-"), 429, "rate_limit_error", code=code)
    yield _error("closed", 499, "api_error")
    yield _error("internal", 500, "api_error")
    yield _error("internal-no-retry", 500, "api_error", headers={"x-should-retry": "false"})
    yield _error("bad-gateway", 502, "", body="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    yield _error("unavailable", 503, "api_error", headers={"retry-after": "2"})
    yield _error("gateway-timeout", 504, "timeout_error")
    yield _error("overloaded", 529, "overloaded_error")
    yield _error("may-retry", 400, "invalid_request_error", headers={"x-should-retry": "true"})
    yield Fault("moved", 307, headers={"location": "http://127.0.0.1:9/v1/messages"}, body="")
    yield Fault("moved-for-good", 308, headers={"location": "http://127.0.0.1:9/v1/messages"}, body="")
    yield Fault("refuses", cut="connected")
    yield Fault("cut-after-headers", cut="headers")
    yield Fault("cut-midway", cut="middle")
    yield Fault("hangs", hang="connected")
    yield Fault("hangs-after-headers", hang="headers")
    yield Fault("hangs-midway", hang="middle")
    yield Fault("slow", slow_s=0.02)
    yield Fault("truncated", truncate=True)
    for type in ("overloaded_error", "api_error", "timeout_error", "rate_limit_error", "invalid_request_error"):
        yield Fault(f"midway-{type.removesuffix('_error').replace('_', '-')}", type=type)
    yield Fault("midway-spend-limit", type="rate_limit_error", code="enforced_spend_limit_reached")
    yield Fault("midway-garbage", type="garbage")
    yield Fault("max-tokens", stop_reason="max_tokens")
    yield Fault("refusal", stop_reason="refusal")
    yield Fault("no-stop-reason", stop_reason=None)
    yield Fault("window-exceeded", stop_reason="model_context_window_exceeded")
    yield Fault("paused", stop_reason="pause_turn")
    yield Fault("html", body="<html><title>Sign in</title></html>", content_type="text/html")
    yield Fault("not-json", body='{"id": "msg_1", "type": "mess')
    yield Fault("other-shape", body='{"choices": [{"message": {"content": "hello"}}]}')
    yield Fault("empty", body="")
    yield Fault("invalid-answer", answer='{"this is": "not what was asked"')
    yield Fault("no-rate-headers", rate_headers=False, request_id=False)


FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _all()}


def named(fault: str | Fault | None) -> Fault | None:
    """A fault by its name. Raises KeyError for an unknown one."""
    return FAULTS[fault] if isinstance(fault, str) else fault


def sent_elsewhere(url: str, status: int = 307) -> Fault:
    """A redirect to another server."""
    return replace(FAULTS["moved"], status=status, headers={"location": url})
