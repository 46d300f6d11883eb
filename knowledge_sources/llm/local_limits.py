"""Room for calls while the fleet's limits cannot be asked: a small share, so that all processes together stay within
bounds.

What the fleet's server grants never exceeds a limit in any window (see `limits.py`), and nobody knows how much of it
others are still using when it is lost. So each process gets its part of one twentieth of a limit, divided by eight or
by as many processes as were last heard of: grants of both kinds together never exceed 105 % of it, however often the
server comes and goes, and whoever can still reach it. A limit whose part comes to nothing lets nothing through until
the server is back; rates that nobody knows bind here as little as there. Calls under way are held to half a process's
part of them, and one, counting those that were granted before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

SHARE: Final = 20
"""A twentieth of each limit is shared out."""
FLEET: Final = 8
"""Processes that share, at the least: the fleet may have grown since it was last heard of."""


@dataclass(frozen=True, slots=True)
class Known:
    """Limits a window, as last heard; 0: none known. `fleet`: processes that share them."""

    requests: int = 0
    input: int = 0
    output: int = 0
    tokens: int = 0
    fleet: int = FLEET


@dataclass(frozen=True, slots=True)
class _Use:
    at: int
    requests: int
    input: int
    output: int


@dataclass(slots=True)
class LocalLimits:
    """One account and class of models in one process. `window_ms` and times as in the fleet's scripts, slack included."""

    known: Known
    concurrency: int
    window_ms: int
    under_way: dict[str, int] = field(default_factory=dict)
    """Every call of this process, the fleet's grants too -> most output of those granted here, else 0."""
    uses: deque[_Use] = field(default_factory=deque)
    closed_until: int = 0

    def close(self, until: int) -> None:
        """The model's server wants nothing until then."""
        self.closed_until = max(self.closed_until, until)

    def hear(self, *limits: int) -> None:
        """What an answer's headers said of requests, input, output and tokens, 0 for nothing; the lower limit holds."""
        known = (self.known.requests, self.known.input, self.known.output, self.known.tokens)
        requests, input, output, tokens = (min(one or two, two or one) for one, two in zip(known, limits, strict=True))
        self.known = Known(requests, input, output, tokens, self.known.fleet)

    def take(self, permit: str, input: int, output: int, now: int) -> int | None:
        """None: there is room, and it is taken. Else ms until there may be; -1: when the fleet can be asked, or later."""
        while self.uses and self.uses[0].at <= now - self.window_ms:
            self.uses.popleft()
        if now < self.closed_until:
            return self.closed_until - now
        if len(self.under_way) >= max(1, self.concurrency // (2 * self.known.fleet)):
            return -1
        used = [sum(column) for column in zip(*((u.requests, u.input, u.output) for u in self.uses), strict=True)]
        requests, inputs, outputs = used or (0, 0, 0)
        outputs += sum(self.under_way.values()) + output
        wanted = (requests + 1, inputs + input, outputs, inputs + input + outputs)
        limits = (self.known.requests, self.known.input, self.known.output, self.known.tokens)
        parts = [limit // (SHARE * self.known.fleet) for limit in limits]
        if any(limit and want > part for limit, part, want in zip(limits, parts, wanted, strict=True)):
            return -1
        self.under_way[permit] = output
        self.uses.append(_Use(now, 1, input, 0))
        return None

    def end(self, permit: str, output: int | None, now: int) -> None:
        """A call is over; `output` is None where nobody knows."""
        held = self.under_way.pop(permit, 0)
        if held:
            self.uses.append(_Use(now, 0, 0, held if output is None else output))
