"""The wire to a model: the vendor's client, told everything it would otherwise look for itself.

It retries nothing (whoever calls decides that, by the kind of failure), follows no redirect (the document would go with it),
reads no key or address from the environment or a profile, sends no header we did not name, and traces and logs no content.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import anthropic
import httpx2

from blackboard import __version__
from blackboard.errors import UsageError
from knowledge_sources.llm.address import address
from knowledge_sources.llm.calls import Delta, Reply, Request
from knowledge_sources.llm.failures import Seen, classify, failed
from knowledge_sources.llm.quoting import Quoting
from knowledge_sources.llm.replies import LONGEST, Heard, got
from knowledge_sources.llm.settings import ModelSettings, Provider

if TYPE_CHECKING:
    from anthropic import OpenTelemetryOptions
    from opentelemetry.trace import TracerProvider

LARGEST: Final = 32_000_000
"""Bytes of a question: the server's edge refuses more."""
STREAM_ABOVE: Final = 8_192
"""Tokens. A longer answer is streamed even if nobody watches: a silent connection is cut by something on the way."""
CONNECTIONS: Final = 64
COUNT_S: Final = 30.0
COUNTED: Final = ("messages", "system", "tools", "tool_choice", "thinking", "output_config")
"""What of a question `count_tokens` takes."""
VERSION: Final = "2026-10-21"
"""Of the protocol that requests are written in."""
SENT: Final = frozenset({"host", "accept", "connection", "content-type", "content-length", "transfer-encoding"})
"""Headers of the client's that are sent; the client takes some from the environment, and tells of the machine in others."""
NOT_THERE: Final = frozenset({404, 405, 501})

_attempt: ContextVar[Seen | None] = ContextVar("blackboard_model_attempt", default=None)


T = TypeVar("T")


class _DeltaFailed(Exception):
    """Whoever takes the pieces of an answer failed: that is not the server's doing."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error rather than never."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = 4 * LONGEST
        async for part in self._stream:
            left -= len(part)
            if left < 0:
                raise httpx2.RemoteProtocolError("the body has no end")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class AnthropicTransport:
    """The port `Transport`. `api_key` may be empty where a server needs none; `timeout_s`: without a byte.

    Raises UsageError for a malformed address or key.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        *,
        timeout_s: float = 60.0,
        connections: int = CONNECTIONS,
        traces: TracerProvider | None = None,
    ) -> None:
        self._base_url = address(base_url)
        self._key = api_key.strip()
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise UsageError("the model's key holds characters that no key has", hint="check BLACKBOARD_MODEL_API_KEY")
        self._tells_of_cache = False
        _silence()
        self._client = anthropic.AsyncAnthropic(
            api_key=self._key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=httpx2.Timeout(connect=5.0, read=timeout_s, write=30.0, pool=5.0),
            # Given whole, it is not looked for in the environment, which could have spans hold the conversation.
            open_telemetry=_spans(traces),
            http_client=anthropic.DefaultAsyncHttpxClient(
                follow_redirects=False,
                verify=_certificates(),
                timeout=httpx2.Timeout(connect=5.0, read=timeout_s, write=30.0, pool=5.0),
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections // 2),
                event_hooks={"request": [self._leaving], "response": [_arriving]},
            ),
        )

    @classmethod
    def of(
        cls, settings: ModelSettings, provider: Provider | None = None, *, traces: TracerProvider | None = None
    ) -> AnthropicTransport:
        """To the first server, or to one that is asked when it is out of order."""
        place = provider or settings
        return cls(place.base_url, place.api_key.get_secret_value(), timeout_s=settings.timeout_s, traces=traces)

    @property
    def base_url(self) -> str:
        """See the port."""
        return self._base_url

    @property
    def tells_of_cache(self) -> bool:
        """Whether an answer so far told of the server's prompt cache."""
        return self._tells_of_cache

    async def send(self, request: Request, *, deadline_s: float, on_delta: Delta | None = None) -> Reply:
        """See the port. What `on_delta` raises is raised as it is."""
        if len(request.canonical) > LARGEST:
            message = f"the question is {len(request.canonical):,} bytes long; the server takes {LARGEST:,}"
            raise failed("request", message, Seen(), billed="no")
        streamed = on_delta is not None or request.max_tokens > STREAM_ABOVE

        async def asked(seen: Seen) -> Reply:
            heard = Heard(seen, request.model)
            await (self._streamed(request, heard, on_delta) if streamed else self._at_once(request, heard))
            self._tells_of_cache = self._tells_of_cache or heard.tells_of_cache
            return heard.reply()

        return await self._attempted(request, deadline_s, asked)

    async def count(self, request: Request) -> int | None:
        """See the port."""
        body = {name: value for name, value in request.body.items() if name in COUNTED}

        async def asked(seen: Seen) -> int | None:
            try:
                counted = await self._client.messages.count_tokens(
                    model=request.model, messages=body.pop("messages"), extra_body=body
                )
            except anthropic.APIStatusError as error:
                if error.status_code in NOT_THERE:
                    return None
                raise
            count = got(counted, "input_tokens")
            if isinstance(count, int) and count >= 0:
                return count
            raise failed("upstream-down", "the server's count of tokens is none", seen, billed="no")

        return await self._attempted(request, COUNT_S, asked)

    async def close(self) -> None:
        """See the port."""
        await self._client.close()

    async def _attempted(self, request: Request, deadline_s: float, ask: Callable[[Seen], Awaitable[T]]) -> T:
        seen = Seen()
        token = _attempt.set(seen)
        failure: Exception
        try:
            async with asyncio.timeout(deadline_s):
                return await ask(seen)
        except TimeoutError:
            failure = failed("upstream-down", f"no whole answer within {deadline_s:g} s", seen, billed="unknown")
        except _DeltaFailed as error:
            failure = error.error
        except Exception as error:
            failure = classify(error, seen, Quoting(request.body, self._key))
        finally:
            _attempt.reset(token)
        # Raised out here, it has no context: the client's exceptions hold the question, and a traceback may be logged.
        raise failure

    async def _at_once(self, request: Request, heard: Heard) -> None:
        body = dict(request.body)
        heard.message(
            await self._client.messages.create(
                model=request.model,
                max_tokens=body.pop("max_tokens"),
                messages=body.pop("messages"),
                extra_body=body,
            )
        )

    async def _streamed(self, request: Request, heard: Heard, on_delta: Delta | None) -> None:
        body = dict(request.body)
        stream = await self._client.messages.create(
            model=request.model,
            max_tokens=body.pop("max_tokens"),
            messages=body.pop("messages"),
            extra_body=body,
            stream=True,
        )
        async with stream:
            try:
                async for event in stream:
                    if (text := heard.event(event)) and on_delta is not None:
                        await _told(on_delta, text)
            except (anthropic.APIError, httpx2.HTTPError, ValueError):
                if not heard.whole:
                    raise

    async def _leaving(self, request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name not in SENT]:
            del request.headers[name]
        request.headers.update(
            {"user-agent": f"blackboard/{__version__}", "anthropic-version": VERSION, "accept-encoding": "identity"}
        )
        if self._key:
            # The first is the client's own way, the second that of gateways which know no other.
            request.headers.update({"authorization": f"Bearer {self._key}", "x-api-key": self._key})


@cache
def _certificates() -> ssl.SSLContext:
    # Reading all of them takes a tenth of a second, for each client anew.
    return httpx2.create_ssl_context()


async def _arriving(response: httpx2.Response) -> None:
    # Here, and not in the client's middleware: that sees a plain answer only when its body has come, too.
    if (seen := _attempt.get()) is not None:
        seen.status = response.status_code
        seen.headers = {name.lower(): value for name, value in response.headers.items()}
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream)


async def _told(on_delta: Delta, text: str) -> None:
    try:
        await on_delta(text)
    except Exception as error:
        raise _DeltaFailed(error) from error


def _spans(traces: TracerProvider | None) -> OpenTelemetryOptions | Literal[False]:
    """The client's own spans of its calls, without what was asked and answered; the server is told of no trace."""
    if traces is None:
        return False
    return {
        "traces": {"enabled": True, "content_mode": "metadata_only"},
        "propagation": False,
        "tracer_provider": traces,
    }


def _unsaid(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _silence() -> None:
    """Of what the client logs below a warning, some holds the whole question, and all is told better elsewhere."""
    for name in ("anthropic", "anthropic._base_client", "httpx2", "httpcore2"):
        # ANTHROPIC_LOG has set the first of them and the client's to `debug` when they were imported.
        log = logging.getLogger(name)
        log.setLevel(logging.WARNING)
        log.addFilter(_unsaid)
