"""What every method of the client goes through: one request with its tries, pages, and streams."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from blackboard.client.address import TIMEOUT_S, Address
from blackboard.client.calls import Call, Paged
from blackboard.client.exchange import UNLIMITED, UNSENT, answer_of, sent, streamed
from blackboard.client.patience import Patience, Tries
from blackboard.client.stream import Event
from blackboard.client.watching import Watching

T = TypeVar("T")


class Connection:
    """Connections to one service, and to no other."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        patience: Patience = Patience(),  # noqa: B008  frozen
        timeout_s: float = TIMEOUT_S,
        agent: str | None = None,
    ) -> None:
        """`url`, `api_key`: else BLACKBOARD_URL (http://127.0.0.1:8000) and BLACKBOARD_API_KEY. `timeout_s`: of each try.

        Raises UsageError.
        """
        self._address = Address.of(url, api_key, agent, timeout_s)
        self._patience = patience
        self._http = httpx2.Client(base_url=self._address.url, limits=UNLIMITED)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """The service's address."""
        return self._address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def pages(self, call: Call[Paged[T]]) -> Iterator[T]:
        """The items of a listing, page by page as they are read."""
        page = self.send(call)
        while True:
            for item in page.items:
                yield item
            if not page.next_cursor:
                return
            page = self.send(call.past(page.next_cursor))

    def send(self, call: Call[T]) -> T:
        """What a call comes to. Raises the error that the service raised, StorageUnavailable, OutcomeUnknown."""
        tries = Tries(call, self.url, self._patience)
        while True:
            try:
                with sent(call, self._address) as arguments:
                    answer = answer_of(self._http.request(**arguments))
            except httpx2.TransportError as error:
                pause: float | None = tries.lost(error, sent=not isinstance(error, UNSENT))
            else:
                pause = tries.answered(answer)
                if pause is None:
                    return call.read(answer)
            time.sleep(pause or 0.0)

    def follow(
        self, call: Call[None], *, after: str = "", deadline: float | None = None, lasting: bool = False
    ) -> Generator[Event, None, None]:
        """The events of a stream, each once, over any number of connections. See Watching."""
        watching = Watching(call, self.url, after=after, deadline=deadline, lasting=lasting)
        while not watching.over:
            try:
                with self._http.stream(**streamed(watching, self._address)) as response:
                    if watching.opened(response.status_code):
                        for chunk in response.iter_raw():
                            for event in watching.take(chunk):
                                yield event
                            if watching.over:
                                return
                    elif not watching.over:
                        response.read()
                        watching.refused(answer_of(response))
            except httpx2.TransportError as error:
                watching.lost(error)
            if not watching.over:
                time.sleep(watching.pause())
