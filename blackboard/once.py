"""Requests that may be sent again, and are to have one effect: who answers one, and what it came to.

What is known of a request lies in the slot of the board that it makes or changes, and is written in the same step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from blackboard.keys import BOARD_ID

KEEP_MS: Final = 86_400_000
"""How long it is known what a request came to."""
HOLD_MS: Final = 15_000
"""How long the right to answer one is held unless it is renewed: whoever crashes leaves it behind for so long."""


@dataclass(frozen=True, slots=True)
class Once:
    """The right to answer a request. `partition`: of the board it makes or changes; `name`: of the request, 32 hexadecimal
    digits; `nonce`: of who answers it.

    `fingerprint`: what was asked for, in hexadecimal digits, so that another request under the same name is found out.
    """

    partition: int
    name: str
    nonce: str
    fingerprint: str
    keep_ms: int = KEEP_MS

    @property
    def words(self) -> str:
        """As `commit.lua` takes it."""
        return f"{self.nonce}|{self.fingerprint}|{self.keep_ms}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a request came to: a board, as it was at that revision."""

    fingerprint: str
    board: str
    revision: int


def made(said: str) -> Made | None:
    """From what `ports.Store.once` answers; None when the request has not been answered."""
    word, *rest = said.split("|")
    if word != "done":
        return None
    fingerprint, board, revision = rest
    assert BOARD_ID.match(board), board
    return Made(fingerprint, board, int(revision))


def place_of(partitions: int, *words: str) -> tuple[int, str]:
    """The partition and the name of the request that these words stand for: the tenant, where it was sent, its key."""
    digest = hashlib.blake2b("\0".join(words).encode(), digest_size=24).digest()
    return int.from_bytes(digest[16:], "big") % partitions, digest[:16].hex()
