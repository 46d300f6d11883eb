"""What an error of a model's server is: by its code, then its type, then its status."""

from __future__ import annotations

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.llm.calls import CallFailed
from knowledge_sources.llm.failures import KIND_OF_TYPE, SPEND_CODES, Seen, classify, kind_of, retry_after
from knowledge_sources.llm.quoting import LEFT_OUT, Quoting

NOTHING = Quoting({}, "")


@pytest.mark.parametrize(("status", "type", "code", "kind"), [
    (400, "invalid_request_error", None, "request"),
    (400, None, None, "request"),
    (400, "invalid_request_error", "organization_on_hold", "config"),
    (400, "invalid_request_error", "something_new", "request"),
    (401, "authentication_error", None, "config"),
    (402, "billing_error", None, "budget"),
    (402, None, None, "budget"),
    (402, "billing_error", "linked_organization_spend_limit_reached", "budget"),
    (403, "permission_error", None, "config"),
    (404, "not_found_error", None, "config"),
    (404, None, None, "config"),
    (405, None, None, "config"),
    (408, "timeout_error", None, "transient"),
    (409, "conflict_error", None, "transient"),
    (413, "request_too_large", None, "request"),
    (413, None, None, "request"),
    (422, "invalid_request_error", None, "request"),
    (429, "rate_limit_error", None, "throttled"),
    (429, None, None, "throttled"),
    (429, "rate_limit_error", "enforced_spend_limit_reached", "budget"),
    (429, "rate_limit_error", "contract_spend_limit_reached", "budget"),
    (429, "rate_limit_error", "ramp_limit_exceeded", "budget"),
    (499, "api_error", None, "transient"),
    (500, "api_error", None, "upstream-down"),
    (500, None, None, "upstream-down"),
    (502, None, None, "upstream-down"),
    (503, "api_error", None, "upstream-down"),
    (504, "timeout_error", None, "upstream-down"),
    (521, None, None, "upstream-down"),
    (529, "overloaded_error", None, "upstream-down"),
    (401, "api_error", None, "config"),
    (200, "overloaded_error", None, "upstream-down"),
    (200, "api_error", None, "upstream-down"),
    (200, "timeout_error", None, "upstream-down"),
    (200, "rate_limit_error", None, "throttled"),
    (200, "rate_limit_error", "enforced_spend_limit_reached", "budget"),
    (200, "invalid_request_error", None, "request"),
    (200, "something_new", None, "upstream-down"),
    (307, None, None, "config"),
])  # fmt: skip
def test_the_table(status: int, type: str | None, code: str | None, kind: str) -> None:
    assert kind_of(status, type, code, "") == kind


@pytest.mark.parametrize("message", [
    "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.",
    "You have reached your specified workspace API usage limits.",
    "Your credit balance is too low to access the Anthropic API.",
])  # fmt: skip
def test_a_spend_limit_of_ones_own_has_no_code(message: str) -> None:
    assert kind_of(400, "invalid_request_error", None, message) == "budget"


@pytest.mark.parametrize(("status", "type", "asked", "kind"), [
    (400, "invalid_request_error", "true", "transient"),
    (409, "conflict_error", "false", "request"),
    (408, "timeout_error", "false", "request"),
    (500, "api_error", "false", "upstream-down"),
    (429, "rate_limit_error", "false", "throttled"),
    (401, "authentication_error", "true", "config"),
    (402, "billing_error", "true", "budget"),
])  # fmt: skip
def test_the_servers_own_word_on_retries(status: int, type: str, asked: str, kind: str) -> None:
    assert kind_of(status, type, None, "", asked) == kind


@given(
    status=st.integers(200, 599),
    type=st.none() | st.sampled_from(sorted(KIND_OF_TYPE)) | st.text(),
    code=st.none() | st.sampled_from(sorted(SPEND_CODES)) | st.text(),
    retry=st.sampled_from(["", "true", "false", "?"]),
)
def test_a_spend_code_is_never_tried_again(status: int, type: str | None, code: str | None, retry: str) -> None:
    kind = kind_of(status, type, code, "", retry)
    assert (kind == "budget") if code in SPEND_CODES else kind != "output"


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None),
    ({"retry-after": "3600"}, 3600.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": "-3"}, 0.0),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 30.0),
    ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 0.0),
    ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, None),
    ({"retry-after": "Sat, 21 Nov 2026 10:00:30", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, None),
])  # fmt: skip
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


REQUEST = httpx2.Request("POST", "http://server/v1/messages")


def wrapped(cause: Exception, outer: type[anthropic.APIConnectionError]) -> Exception:
    error = outer(request=REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "kind", "billed"), [
    (wrapped(httpx2.ConnectError("no"), anthropic.APIConnectionError), "upstream-down", "no"),
    (wrapped(httpx2.ConnectTimeout("no"), anthropic.APITimeoutError), "upstream-down", "no"),
    (wrapped(httpx2.ReadTimeout("no"), anthropic.APITimeoutError), "upstream-down", "unknown"),
    (wrapped(httpx2.WriteError("no"), anthropic.APIConnectionError), "upstream-down", "unknown"),
    (wrapped(httpx2.PoolTimeout("no"), anthropic.APITimeoutError), "throttled", "no"),
    (wrapped(httpx2.LocalProtocolError("Illegal header"), anthropic.APIConnectionError), "config", "no"),
    (httpx2.RemoteProtocolError("cut"), "upstream-down", "unknown"),
    (httpx2.ReadError("cut"), "upstream-down", "unknown"),
    (ValueError("max_tokens"), "request", "no"),
    (KeyError("messages"), "request", "no"),
    (RuntimeError("?"), "upstream-down", "unknown"),
    (CallFailed("output", "as it is"), "output", "unknown"),
])  # fmt: skip
def test_what_has_no_status(error: Exception, kind: str, billed: str) -> None:
    found = classify(error, Seen(), NOTHING)
    assert (found.kind, found.billed) == (kind, billed)


def test_a_value_error_after_an_answer_is_the_servers() -> None:
    found = classify(ValueError("Expecting value"), Seen(status=200), NOTHING)
    assert (found.kind, found.billed) == ("upstream-down", "unknown")


def test_nothing_of_a_question_is_shown() -> None:
    body = {
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [
            {"type": "document", "title": "Page 1", "source": {"type": "text", "data": "The patient\nAnna Weiss was born"}},
            {"type": "text", "text": "Her number is A-4711-Z."},
        ]}],
    }  # fmt: skip
    quoting = Quoting(body, "sk-ant-0123456789")
    assert quoting.shown("got 'The patient Anna Weiss was' instead") == LEFT_OUT
    assert quoting.shown("bad value A-4711-Z here") == "bad value … here"
    assert "0123" not in quoting.shown("invalid key sk-ant-0123456789")
    assert "0123" not in quoting.shown("invalid key ...-0123456")
    assert quoting.shown("wrong key: sk-abc***xyz") == "wrong key: sk-…"
    assert quoting.shown("prompt is too long: 201000 tokens > 200000 maximum") == (
        "prompt is too long: 201000 tokens > 200000 maximum"
    )
    assert quoting.shown("model:\n claude-nothing") == "model: claude-nothing"
    assert quoting.word("overloaded_error") == "overloaded_error"
    assert quoting.word("Anna Weiss") == "an unknown kind"


@given(document=st.text(min_size=16), before=st.text(max_size=40), after=st.text(max_size=40), data=st.data())
def test_no_quotation_gets_through(document: str, before: str, after: str, data: st.DataObject) -> None:
    clean = " ".join(document.split())
    if len(clean) < 16:
        return
    at = data.draw(st.integers(0, len(clean) - 16))
    quoted = clean[at : at + 16]
    shown = Quoting({"messages": [{"role": "user", "content": document}]}, "").shown(f"{before}{quoted}{after}")
    assert quoted not in shown
