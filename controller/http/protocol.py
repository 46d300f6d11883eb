"""uvicorn's protocol with limits: what is not HTTP, too large, or too slow never reaches the app, and is told so.

Every refusal is a problem, followed by a half-close and a short while of dropping what still comes: to close with bytes
unread would reset the connection, and the client might never see the answer. One lazy timer a connection watches over
all limits of time, so that a request which keeps to them pays for a few comparisons.
"""

from __future__ import annotations

import asyncio
import math
from enum import IntEnum
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from controller.http.limits import Limits
from controller.http.problems import LINGER_BYTES, LINGER_S
from controller.http.refusals import rendered

MOST_PIPELINED = 64
"""Requests of one connection that wait for the answers to earlier ones."""
MOST_POLITE = 256
"""Connections over the limit that are told so; those beyond are dropped."""
FRAMING_BYTES = 64 << 10
FRAMING_TIMES = 8
"""What chunk sizes, extensions and trailers may come to: so much, and so many times the body."""
SERVING_S = 30.0
"""How often the timer looks at a connection whose client has nothing to send."""


class Phase(IntEnum):
    """What is expected of the client: from SERVING on nothing, and from DEAF on nothing is read any more."""

    FRESH = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    SERVING = 4
    DEAF = 5
    LEAVING = 6


class Flow(FlowControl):
    """Says when reading goes on: while it is paused, a client cannot be slow."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        """See the parent."""
        if self.read_paused:
            self._protocol.restart()
        super().resume_reading()


class Protocol(HttpToolsProtocol):
    """One connection. `limits`: what it may do."""

    def __init__(self, *args: Any, limits: Limits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits or Limits()
        self.timeout_keep_alive = math.ceil(self.limits.keep_alive_s)
        given = self.limits
        self._patience = (
            given.header_s, given.keep_alive_s, given.header_s, given.body_s, SERVING_S, SERVING_S, LINGER_S,
        )  # fmt: skip
        self._phase = Phase.FRESH
        self._since = 0.0
        self._size = 0  # bytes of the header, of the body since `_since`, or dropped: as the phase says
        self._begun = 0  # messages
        self._wire = self._body = 0  # bytes of the message in hand, with and without its framing
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._running: RequestResponseCycle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    # Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.flow = Flow(transport, self)
        over = len(self.connections) - self.limits.connections
        if over > MOST_POLITE:
            transport.abort()
        elif over > 0:
            self._say("too-many-connections")
        else:
            self._enter(Phase.FRESH)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
        self._timer = self._stalled = None
        self._due = -math.inf
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than is sent; if it takes nothing for long, the connection is given up."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, of a header no more than it may hold."""
        self._unset_keepalive_if_required()
        most = self.limits.header_bytes + self.limits.target_bytes + 64
        rest = data
        while rest and self._phase < Phase.DEAF:
            heading = self._phase <= Phase.HEAD
            part = rest[: most - self._size] if heading else rest
            rest = rest[len(part) :]
            self._feed(part)
            if self._phase is Phase.HEAD and len(self.url) > self.limits.target_bytes:
                self._refuse("uri-too-long")
            elif self._phase is Phase.HEAD and self._size >= most:
                self._refuse("header-fields-too-large")
        if self._phase is Phase.LEAVING:
            self._size += len(data)
            if self._size > LINGER_BYTES:
                self.transport.abort()

    def _feed(self, part: bytes) -> None:
        expected = self._begun + (self._phase <= Phase.IDLE)
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: the request is answered as it is, and what follows it is not read.
            self._refuse("bad-request")
        except httptools.HttpParserError:
            self._refuse("bad-request")
        else:
            if self._begun > expected:
                return  # how much of the part belongs to the message in hand is not known, and it is one part alone
            if self._phase is Phase.HEAD:
                self._size += len(part)
            elif self._phase is Phase.BODY:
                self._wire += len(part)
                if self._wire - self._body > FRAMING_BYTES + FRAMING_TIMES * self._body:
                    self._refuse("bad-request")

    # Parser callbacks

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        self._begun += 1
        self._enter(Phase.HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes behind the body is no part of the header: nobody has checked it there."""
        if self._phase is Phase.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        if not self._is_clear() or len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("refused")
        super().on_headers_complete()
        self._enter(Phase.BODY)
        self._wire = self._body = 0

    def _is_clear(self) -> bool:
        """Whether there is one way alone to read where the message ends, and whom it is for."""
        version = self.parser.get_http_version()
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and (version != "1.1" or value.lower() != b"chunked"):
                return False
        return hosts == 1 if version == "1.1" else version == "1.0" and hosts <= 1

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._body += len(body)
        self._size += len(body)
        super().on_body(body)
        if self.cycle.response_complete and self._body > LINGER_BYTES:
            self.transport.close()

    def on_message_complete(self) -> None:
        """See httptools."""
        super().on_message_complete()
        self._enter(Phase.SERVING if self._is_answering() else Phase.IDLE)

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        if self._phase is Phase.SERVING and not self._is_answering():
            self._enter(Phase.IDLE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self._running is not None and not self._running.response_complete)

    # Time

    def restart(self) -> None:
        """The client could not send until now."""
        self._since, self._size = self.loop.time(), 0 if self._phase is Phase.BODY else self._size

    def _enter(self, phase: Phase) -> None:
        if self._phase >= Phase.DEAF and phase is not Phase.LEAVING:
            return
        self._phase, self._size, self._since = phase, 0, self.loop.time()
        due = self._since + self._patience[phase]
        if due < self._due:
            self._look_at(due)

    def _look_at(self, due: float) -> None:
        """Have the timer ring then. It may ring before a limit is over: it is never moved for later."""
        if self._timer is not None:
            self._timer.cancel()
        self._due, self._timer = due, self.loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer, self._due = None, math.inf
        waiting = self._phase is Phase.HEAD or self._phase is Phase.BODY
        if waiting and (self.flow.read_paused or self._is_asked_to_wait()):
            self.restart()
        elif self.loop.time() >= self._since + self._patience[self._phase]:
            self._late()
        self._look_at(self._since + self._patience[self._phase])

    def _is_asked_to_wait(self) -> bool:
        return self._phase is Phase.BODY and self.cycle.waiting_for_100_continue and not self.cycle.response_complete

    def _late(self) -> None:
        phase = self._phase
        if phase is Phase.LEAVING:
            self.transport.abort()
        elif self.transport.is_closing():
            self._enter(Phase.LEAVING)  # what was sent last was not taken yet
        elif phase <= Phase.IDLE:
            self.transport.close()
        elif phase is Phase.HEAD or (phase is Phase.BODY and self._size < self.limits.body_step):
            self._refuse("request-timeout")
        else:
            self._since, self._size = self.loop.time(), 0

    # Refusals

    def _refuse(self, slug: str) -> None:
        """Answer what is being received with a problem, after the answers that come before it; nothing more is read."""
        if self._phase >= Phase.DEAF:
            return
        faulty = self.cycle if self._phase is Phase.BODY else None
        waiting = [cycle for cycle, _ in self.pipeline if cycle is not faulty]
        if faulty is not None and faulty is not self._running:
            self.pipeline.popleft()
        before = waiting[0] if waiting else self._running
        if before is not None and before is not faulty and not before.response_complete:
            before.keep_alive = False
            self._enter(Phase.DEAF)
            return
        if faulty is None or not (faulty.response_started or faulty.response_complete):
            self._say(slug, bare=faulty is not None and faulty.scope["method"] == "HEAD")
        else:
            self.transport.close()
        if faulty is not None:
            faulty.disconnected = True
            faulty.message_event.set()

    def _say(self, slug: str, *, bare: bool = False) -> None:
        self.transport.write(rendered(slug, bare=bare))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._enter(Phase.LEAVING)
        self.flow.resume_reading()
