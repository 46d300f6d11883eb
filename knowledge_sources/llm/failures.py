"""What a failed call was: an exception of the client, or of what lies under it, as a `CallFailed`. Pure.

Looked at in this order, because a class or a status alone tells too little:

1. the error's code: spend limits come as 429 and 402, and nothing else tells them from a rate limit;
2. its type: an error in the middle of a stream comes with status 200 and no class of its own;
3. the status.

`api_error` and `timeout_error` are what servers say for want of a better word: a status that is an error's goes first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import anthropic
import httpx2

from knowledge_sources.llm.calls import CallFailed, FailureKind, Usage
from knowledge_sources.llm.quoting import Quoting

SPEND_CODES: Final = frozenset(
    {
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        "ramp_limit_exceeded",
        "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
    }
)
ACCOUNT_CODES: Final = frozenset(
    {
        "cmek_feature_unsupported",
        "cmek_key_disabled",
        "cmek_key_network_blocked",
        "organization_on_hold",
        "organization_type_not_supported",
        "parent_organization_required",
        "sandbox_egress_restricted",
        "user_profile_not_found",
        "user_profile_required",
        "workspace_policy_violation",
    }
)
"""Come as 400, and say that the account is not set up for any question."""
SPEND_WORDS: Final = re.compile(
    r"you have reached your specified (workspace )?api usage limits|credit balance is too low", re.IGNORECASE
)
"""A spend limit set by the account's owner is a 400 without a code: its first words are all that tells it."""

KIND_OF_TYPE: Final[Mapping[str, FailureKind]] = {
    "authentication_error": "config",
    "permission_error": "config",
    "not_found_error": "config",
    "billing_error": "budget",
    "rate_limit_error": "throttled",
    "overloaded_error": "upstream-down",
    "api_error": "upstream-down",
    "timeout_error": "upstream-down",
    "conflict_error": "transient",
    "invalid_request_error": "request",
    "request_too_large": "request",
}
VAGUE: Final = frozenset({"api_error", "timeout_error"})
KIND_OF_STATUS: Final[Mapping[int, FailureKind]] = {
    401: "config",
    402: "budget",
    403: "config",
    404: "config",
    405: "config",
    407: "config",
    408: "transient",
    409: "transient",
    425: "transient",
    429: "throttled",
    499: "transient",
    501: "config",
}
PERHAPS_DONE: Final = frozenset({408, 499, 502, 504})
"""Statuses of something in front of the model that lost patience or its way: the answer may have been made, and billed."""

TOLD: Final = ("retry-after", "retry-after-ms", "date", "x-should-retry")
HINTS: Final[Mapping[FailureKind, str]] = {
    "config": "check the key, the model's name and the server's address (BLACKBOARD_MODEL_...)",
    "budget": "the provider's own spend limit is reached: raise it there, or wait until it is lifted",
}
UNSENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
OURS: Final = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)
"""Nothing was sent, as what we were told to send, or where, is not HTTP."""

Billed = Literal["no", "yes", "unknown"]


@dataclass
class Seen:
    """What came back of one attempt so far."""

    status: int | None = None
    """None before the answer's head has come."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """All of them, lower case."""
    usage: Usage | None = None

    @property
    def request_id(self) -> str:
        """As the server calls the attempt."""
        return self.headers.get("request-id", "")

    @property
    def told(self) -> dict[str, str]:
        """The headers that limits and retries go by."""
        return {
            name: value
            for name, value in self.headers.items()
            if name in TOLD or name.startswith("anthropic-ratelimit-")
        }


def failed(
    kind: FailureKind,
    message: str,
    seen: Seen,
    *,
    billed: Billed,
    retry_after_s: float | None = None,
    stop_reason: str = "",
    text: str = "",
) -> CallFailed:
    """A failure with everything that is known of the attempt.

    Its usage is told only where that is all of it: what the first event of a stream counts is less than what will be billed.
    """
    return CallFailed(
        kind,
        f"{message} (request {seen.request_id})" if seen.request_id else message,
        status=seen.status,
        retry_after_s=retry_after(seen.headers) if retry_after_s is None else retry_after_s,
        billed=billed,
        usage=seen.usage if billed == "yes" else None,
        request_id=seen.request_id,
        headers=seen.told,
        stop_reason=stop_reason,
        text=text,
        hint=HINTS.get(kind, ""),
    )


def classify(error: Exception, seen: Seen, quoting: Quoting) -> CallFailed:
    """What an exception of the client means. `quoting` keeps the question's text and the key out of the message."""
    if isinstance(error, CallFailed):
        return error
    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error, seen, quoting)
    cause: BaseException = error
    if isinstance(error, anthropic.APIConnectionError) and error.__cause__ is not None:
        cause = error.__cause__
    if isinstance(cause, CallFailed):
        return cause
    if isinstance(cause, httpx2.PoolTimeout):
        return failed("throttled", "every connection of this process is in use", seen, billed="no", retry_after_s=1.0)
    if isinstance(cause, OURS):
        message = f"nothing could be sent: the server's address or the key is malformed ({type(cause).__name__})"
        return failed("config", message, seen, billed="no")
    if isinstance(cause, UNSENT):
        message = f"the server cannot be reached ({type(cause).__name__})"
        return failed("upstream-down", message, seen, billed="no")
    if isinstance(cause, httpx2.TimeoutException):
        return failed("upstream-down", f"the server went silent ({type(cause).__name__})", seen, billed="unknown")
    if isinstance(cause, httpx2.HTTPError):
        return failed("upstream-down", f"the connection was lost ({type(cause).__name__})", seen, billed="unknown")
    if seen.status is None and isinstance(cause, (ValueError, TypeError, LookupError)):
        message = f"the client does not take the question ({type(cause).__name__})"
        return failed("request", message, seen, billed="no")
    message = f"the server's answer cannot be read ({type(cause).__name__})"
    return failed("upstream-down", message, seen, billed="unknown")


def kind_of(status: int, type: str | None, code: str | None, message: str, should_retry: str = "") -> FailureKind:
    """The class of an error the server told of. `should_retry`: the header of that name, `true`, `false` or nothing."""
    if code in SPEND_CODES:
        return "budget"
    if code in ACCOUNT_CODES:
        return "config"
    is_error = status >= 400
    if 300 <= status < 400:
        return "config"
    kind: FailureKind
    if type is not None and type in KIND_OF_TYPE and not (type in VAGUE and is_error):
        kind = KIND_OF_TYPE[type]
    elif not is_error:
        kind = "upstream-down"
    else:
        kind = KIND_OF_STATUS.get(status, "upstream-down" if status >= 500 else "request")
    if kind == "request" and SPEND_WORDS.search(message):
        return "budget"
    if kind == "request" and should_retry == "true":
        return "transient"
    if kind == "transient" and should_retry == "false":
        return "request"
    return kind


def _of_status(error: anthropic.APIStatusError, seen: Seen, quoting: Quoting) -> CallFailed:
    said = error.api_message if isinstance(error.api_message, str) else ""
    type = error.type if isinstance(error.type, str) else None
    status = error.status_code
    kind = kind_of(status, type, error.error_code, said, seen.headers.get("x-should-retry", "").strip().lower())
    if 300 <= status < 400:
        return failed(
            kind, f"the server sends us elsewhere (HTTP {status}); the question stays here", seen, billed="no"
        )
    words = [f"HTTP {status}" if status >= 400 else "in the middle of the answer", type, error.error_code]
    message = "the server answers with an error: " + ", ".join(quoting.word(word) for word in words if word)
    if shown := quoting.shown(said):
        message += f": {shown}"
    if status < 400:
        return failed(kind, message, seen, billed="unknown")
    return failed(kind, message, seen, billed="unknown" if status in PERHAPS_DONE else "no")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as the server asks for them: a number, or a date by the server's own clock; None where it does not."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        until, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
