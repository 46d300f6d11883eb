"""Traces: a submission, the activations that follow from it, and their calls to models, as one tree of OpenTelemetry spans.

FastAPI and the vendor's client make their own spans; here are those in between, and what ties them together: the
submission's `traceparent` (W3C Trace Context), kept in the head of its board, by which every worker finds its parent.
No span holds content, a query, a header or an error's words. Without a provider nothing of OpenTelemetry is touched.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import bind_contextvars, clear_contextvars

from blackboard.errors import StorageError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

FIELD: Final = "traceparent"
"""Of a board's head."""
FORM: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}\Z", re.ASCII)

_current: ContextVar[str] = ContextVar("blackboard_traceparent", default="")


def follow(traceparent: str) -> None:
    """What this task does from here on belongs to that trace; its log lines name it. Ignores what is malformed."""
    found = FORM.match(traceparent)
    if found is not None:
        _current.set(traceparent)
        bind_contextvars(trace_id=found[1])


def traced(parent: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The field that a new board's head gets: whose trace it belongs to. `parent`: the head of the board above it."""
    current = _current.get() or (parent or {}).get(FIELD, "")
    return {FIELD: current} if current else {}


def begin(**names: str) -> None:
    """This task is about these alone, for the log and for traces, and no more about what it came from.

    A task inherits from whoever started it: in one process the request that brought the news, or another board's turn.
    """
    clear_contextvars()
    bind_contextvars(**names)
    _current.set("")


def traceparent_of(span: Span) -> str:
    """A span as others may name it as their parent; "" for none."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


class Runs:
    """The spans of activations. `head`: reads a board's head, to find their parent."""

    def __init__(self, provider: TracerProvider, head: Callable[[str], Awaitable[Mapping[str, str] | None]]) -> None:
        from blackboard import __version__

        self._tracer: Tracer = provider.get_tracer("blackboard", __version__)
        self._head = head

    @asynccontextmanager
    async def running(
        self, board: str, activation: str, source: str, version: str, attempt: int
    ) -> AsyncIterator[Callable[[str], None]]:
        """The span `activate <source>` around a run; call what it gives with how the run ended."""
        from opentelemetry.trace import SpanKind, StatusCode

        attributes: dict[str, Any] = {
            "blackboard.board.id": board,
            "blackboard.activation.id": activation,
            "blackboard.activation.attempt": attempt,
            "blackboard.source.name": source,
            "blackboard.source.version": version,
            "gen_ai.conversation.id": board,
        }
        with self._tracer.start_as_current_span(
            f"activate {source}", await self._parent(board), SpanKind.CONSUMER, attributes,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            # What it opens and says belongs to the same trace.
            follow(traceparent_of(span))

            def ended(outcome: str) -> None:
                span.set_attribute("blackboard.activation.outcome", outcome)
                if outcome in ("failed", "lost"):
                    span.set_status(StatusCode.ERROR)

            try:
                yield ended
            except BaseException as error:  # it was cancelled, or is left for its lease to run out
                ended("cancelled" if isinstance(error, asyncio.CancelledError) else "lost")
                raise

    async def _parent(self, board: str) -> Any:
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        try:
            head = await self._head(board) or {}
        except StorageError:
            head = {}
        return TraceContextTextMapPropagator().extract({FIELD: head.get(FIELD, "")}, Context())
