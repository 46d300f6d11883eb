"""Who asks, and what they may: the words that every door uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

Scope = Literal["submit", "read", "contribute", "admin", "operate"]
"""`submit` documents, and retry, fork and cancel; `read` boards; `contribute` entries, and the work of sources that run
elsewhere; `admin`: a tenant's keys, webhooks and sources, and erasure; `operate`: what concerns all tenants."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
DEFAULT_TENANT: Final = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the tenant whose boards they see, and the name their contributions carry."""

    tenant: str = DEFAULT_TENANT
    person: str = "person:anonymous"
    scopes: frozenset[Scope] = SCOPES
    key: str = ""
    """The key's id, never the key itself; "" where none is asked for."""
    streams: int | None = None
    """Streams that the key may have open at a time, 0: any number; None: as is set for all."""

    @property
    def operates(self) -> bool:
        """Whether what concerns all tenants is theirs to see and do."""
        return "operate" in self.scopes


ANYBODY: Final = Caller()
"""Whoever reaches a service without keys, which listens on this machine alone."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller who may do what was asked; `headers` go with the answer, whatever it will be."""

    caller: Caller
    headers: Sequence[tuple[bytes, bytes]] = ()
    local: bool = False
    """Only if it is a program of this machine: no key was asked for."""
    still: Callable[[], Awaitable[bool]] | None = None
    """Whether it would be admitted yet, asked now and then while an answer goes on for long; None: always."""


class Gate(Protocol):
    """Decides about every request that is not open to all."""

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """`authorization`: the values of that header. Raises Unauthorized, Forbidden, RateLimited, StorageError."""
