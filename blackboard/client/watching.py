"""Following a stream over any number of connections: what to ask for next, how long to wait, when it is over. No I/O."""

from __future__ import annotations

import random
import time
from typing import Final

from blackboard.client.calls import Answer, Call
from blackboard.client.patience import lost_connection
from blackboard.client.problems import error_of, retry_after
from blackboard.client.stream import Event, Parser
from blackboard.errors import BlackboardError, LimitReached, StorageError
from blackboard.messages import BOOKMARK, CLOSING

SILENCE_S: Final = 60.0
"""A stream on which nothing comes for so long, not even a sign of life, is dead."""
PATIENCE_S: Final = 60.0
"""How long a watcher that lost its stream tries to get it back."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 5.0


class Watching:
    """One watcher's place in a stream, and its patience.

    The driver opens `call` with `headers`, hands over what comes, and sleeps for `pause()` between connections, until `over`.
    """

    def __init__(
        self,
        call: Call[None],
        origin: str,
        *,
        after: str = "",
        lasting: bool = False,
        deadline: float | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`lasting`: it ends with no board. `deadline`: by time.monotonic(); then TimeoutError."""
        self.call = call
        self.after = after
        self.over = False
        self._origin = origin
        self._lasting = lasting
        self._deadline = deadline
        self._patience_s = patience_s
        self._parser = Parser()
        self._known = False
        self._lost_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._asked_s = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """Those of the next connection: it goes on behind the last event that was taken."""
        return {"accept": "text/event-stream", **({"last-event-id": self.after} if self.after else {})}

    @property
    def silence_s(self) -> float:
        """How long to wait for the next byte. Raises TimeoutError behind the deadline."""
        if self._deadline is None:
            return SILENCE_S
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the board has not ended in time")
        return min(SILENCE_S, left)

    def opened(self, status: int) -> bool:
        """Whether there is a stream to read. 204: all of it was read before."""
        self._parser = Parser()
        if status == 204:
            self.over = True
        if status == 200:
            self._known, self._lost_at = True, None
        return status == 200

    def take(self, chunk: bytes) -> list[Event]:
        """The next bytes; the events that are whole with them. What is about the stream alone is not among these."""
        self._check_time()
        shown = []
        for event in self._parser.feed(chunk):
            self._pause_s = FIRST_PAUSE_S
            self.after = event.id or self.after
            if event.type == CLOSING:
                self._close(str(event.data.get("reason", "")))
            elif event.type != BOOKMARK:
                shown.append(event)
                self.over = not self._lasting and event.ends
            if self.over:
                break
        return shown

    def _close(self, reason: str) -> None:
        self.over = not self._lasting and reason == "finished"
        if reason == "shutdown":
            # All of a process's watchers lose it at once: the service says over how long they should spread.
            self._pause_s = max(self._pause_s, self._parser.retry_s or 0.0)

    def refused(self, answer: Answer) -> None:
        """Another answer than a stream. Raises what it stands for, unless it is worth coming back."""
        error = error_of(answer, self.call, self._origin)
        if not isinstance(error, LimitReached | StorageError):
            raise error
        self._asked_s = retry_after(answer.headers) or 0.0
        self._wait_or_raise(error)

    def lost(self, error: BaseException) -> None:
        """No connection, or one that broke. Raises StorageUnavailable when there never was one, or for too long."""
        self._check_time()
        found = lost_connection(error, self._origin)
        if not self._known:
            raise found from error
        self._wait_or_raise(found)

    def pause(self) -> float:
        """Seconds until the next connection, drawn so that many watchers do not come back together."""
        longest = max(self._parser.retry_s or 0.0, LONGEST_PAUSE_S)
        drawn = random.uniform(0.0, self._pause_s)
        self._pause_s = min(self._pause_s * 2, longest)
        wait = max(drawn, self._asked_s + drawn if self._asked_s else 0.0)
        self._asked_s = 0.0
        if self._deadline is not None:
            wait = min(wait, max(0.0, self._deadline - time.monotonic()))
        return wait

    def _wait_or_raise(self, error: BlackboardError) -> None:
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
        if now - self._lost_at + self._asked_s > self._patience_s:
            raise error

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TimeoutError("the board has not ended in time")
