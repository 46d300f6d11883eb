"""Where in the activity of all partitions somebody is, as an id to resume at.

The cursors of all partitions are sealed (AES-GCM, NIST SP 800-38D), and to one tenant: when other tenants' boards changed
is theirs to know, and nobody can make up a place.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ID = re.compile(r"t1\.[A-Za-z0-9_-]{39,12000}\Z")
NONCE = 12


class Cursor(NamedTuple):
    """A place in one partition's activity."""

    ms: int
    n: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"


ZERO = Cursor(0, 0)
Vector = Mapping[int, Cursor]
"""Partition -> the last change of it; one that is missing was at its beginning."""


def cursor_of(text: str) -> Cursor:
    """From the server's words."""
    ms, _, n = text.partition("-")
    return Cursor(int(ms), int(n))


class Sealer:
    """Makes ids of vectors, and vectors of ids."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 bytes, the same for all processes."""
        self._cipher = AESGCM(secret)

    def seal(self, tenant: str, vector: Vector) -> str:
        """An id: of 16 partitions about 150 characters."""
        nonce = os.urandom(NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, _pack(vector), tenant.encode())
        return "t1." + urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, tenant: str, id: str) -> dict[int, Cursor] | None:
        """The vector of an id of the right form; None when it was not sealed here for this tenant."""
        text = id[3:]
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return _unpack(self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], tenant.encode()))
        except (InvalidTag, ValueError):
            return None


def _pack(vector: Vector) -> bytes:
    """The latest time, then of each partition that is not at its beginning how far it is from the last one named, how much
    earlier its cursor is, and the cursor's number.
    """
    named = sorted((partition, at) for partition, at in vector.items() if at != ZERO)
    latest = max((at.ms for _, at in named), default=0)
    out = bytearray(_varint(latest))
    last = -1
    for partition, at in named:
        out += _varint(partition - last - 1) + _varint(latest - at.ms) + _varint(at.n)
        last = partition
    return bytes(out)


def _unpack(packed: bytes) -> dict[int, Cursor]:
    numbers = _numbers(packed)
    latest, last = next(numbers), -1
    found: dict[int, Cursor] = {}
    for skipped in numbers:
        last += skipped + 1
        found[last] = Cursor(latest - next(numbers), next(numbers))
    return found


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
