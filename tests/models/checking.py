"""What the server refuses in a request, in the order the real one looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tests.models import tokens
from tests.models.faults import Fault
from tests.models.record import Call

if TYPE_CHECKING:
    from tests.models.server import Settings

LARGEST = 32_000_000
KNOWN = frozenset({
    "model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata",
    "tools", "tool_choice", "thinking", "output_config", "service_tier", "cache_control",
})  # fmt: skip
BREAKPOINTS = 4


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, type: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fault = Fault(status=status, type=type, message=message, headers=headers or {})


def check_key(settings: Settings, call: Call) -> None:
    """Whose it is, and whether the version is named. Raises Refused."""
    given = (
        {call.header("authorization").removeprefix("Bearer ").strip()} if "authorization" in settings.reads else set()
    )
    if "x-api-key" in settings.reads:
        given.add(call.header("x-api-key"))
    if settings.keys and not given & set(settings.keys):
        raise Refused(401, "authentication_error", "invalid x-api-key")
    if not call.header("anthropic-version"):
        raise Refused(400, "invalid_request_error", "anthropic-version: header is required")


def check(settings: Settings, call: Call, *, counting: bool = False) -> None:
    """Whether a request is one. Raises Refused."""
    said = call.said
    if len(call.body) > LARGEST:
        raise Refused(413, "request_too_large", "Request exceeds the maximum size")
    if settings.models and said.get("model") not in settings.models:
        raise Refused(404, "not_found_error", f"model: {said.get('model')}")
    for wrong in _wrong(said, counting):
        raise Refused(400, "invalid_request_error", wrong)
    for missing in _missing(settings, said):
        raise Refused(400, "invalid_request_error", f"{missing} is not supported")
    if (count := tokens.count(said)) > settings.window_tokens:
        raise Refused(
            400, "invalid_request_error", f"prompt is too long: {count} tokens > {settings.window_tokens} maximum"
        )


def _wrong(said: Mapping[str, Any], counting: bool) -> Iterator[str]:
    if not said:
        yield "the body is not a JSON object"
    if not isinstance(said.get("model"), str):
        yield "model: Field required"
    if not counting and not (isinstance(said.get("max_tokens"), int) and said["max_tokens"] > 0):
        yield "max_tokens: Field required"
    for unknown in sorted(set(said) - KNOWN):
        yield f"{unknown}: Extra inputs are not permitted"
    if counting and (forbidden := sorted({"max_tokens", "stream", "stop_sequences", "temperature"} & set(said))):
        yield f"{forbidden[0]}: Extra inputs are not permitted"
    messages = said.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
        return
    for at, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            yield f"messages.{at}.role: must be user or assistant"
        if not message.get("content"):
            yield f"messages.{at}.content: must not be empty"
        for block in _blocks(message.get("content")):
            if block.get("type") == "text" and not block.get("text"):
                yield f"messages.{at}: text content blocks must be non-empty"
    if sum(block.breakpoint for block in tokens.blocks(said)) > BREAKPOINTS:
        yield f"A maximum of {BREAKPOINTS} blocks with cache_control may be provided."
    yield from _wrong_schema((said.get("output_config") or {}).get("format"))


def _wrong_schema(format: Any) -> Iterator[str]:
    if format is None:
        return
    if format.get("type") != "json_schema" or not isinstance(format.get("schema"), dict):
        yield "output_config.format: must be a json_schema with a schema"
        return
    whole = format["schema"]
    for part in (whole, *whole.get("$defs", {}).values()):
        if part.get("type") == "object" and part.get("additionalProperties") is not False:
            yield "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"


def _missing(settings: Settings, said: Mapping[str, Any]) -> Iterator[str]:
    kinds = {block.get("type") for message in said["messages"] for block in _blocks(message.get("content"))}
    if "schema" in settings.lacks and (said.get("output_config") or {}).get("format"):
        yield "output_config.format"
    if "documents" in settings.lacks and "document" in kinds:
        yield "a document block"
    if "pictures" in settings.lacks and "image" in kinds:
        yield "an image block"
    if "streaming" in settings.lacks and said.get("stream"):
        yield "stream"


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def noticed(said: Mapping[str, Any], ignored: frozenset[str]) -> Mapping[str, Any]:
    """A request as a server sees it that takes no notice of some of its parts."""
    kinds = {"documents": "document", "pictures": "image"}
    deaf = {kind for name, kind in kinds.items() if name in ignored}
    kept = {key: value for key, value in said.items() if key != "output_config" or "schema" not in ignored}
    kept["messages"] = [
        {**message, "content": [block for block in message["content"] if block.get("type") not in deaf]}
        if isinstance(message["content"], list)
        else message
        for message in said["messages"]
    ]
    return kept
