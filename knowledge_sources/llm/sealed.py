"""Answers in the bytes that are kept: compressed, with a checksum that holds for one question alone. Pure.

`bba1`, 8 bytes of time (milliseconds since 1970), 16 bytes of BLAKE2b keyed with the question's key, zlib.
"""

from __future__ import annotations

import zlib
from hashlib import blake2b

from knowledge_sources.llm.calls import FINISHED, Reply

MAGIC = b"bba1"
MOST = 64 * 1024 * 1024
"""Bytes of an unpacked answer; more is damage, or worse."""
_HEAD = len(MAGIC) + 8 + 16


def is_whole(reply: Reply) -> bool:
    """Whether an answer may be kept: cut and refused ones never are."""
    return reply.stop_reason in FINISHED


def seal(key: str, reply: Reply, made_ms: int) -> bytes:
    """`key`: 64 hexadecimal digits, see Request.key."""
    stamped = made_ms.to_bytes(8) + zlib.compress(reply.packed(), 6)
    return MAGIC + stamped[:8] + _sum(key, stamped) + stamped[8:]


def unseal(key: str, data: bytes, *, now_ms: int, most_age_s: float) -> tuple[Reply, int] | None:
    """The answer and when it was made; None for what is damaged, too old, not whole, or another question's."""
    stamp, told, packed = data[len(MAGIC) : 12], data[12:_HEAD], data[_HEAD:]
    if not data.startswith(MAGIC) or len(data) <= _HEAD or _sum(key, stamp + packed) != told:
        return None
    made_ms = int.from_bytes(stamp)
    if now_ms - made_ms >= most_age_s * 1000:
        return None
    opened = zlib.decompressobj()
    try:
        reply = Reply.unpacked(opened.decompress(packed, MOST))
    except (zlib.error, ValueError):
        return None
    return (reply, made_ms) if opened.eof and is_whole(reply) else None


def _sum(key: str, data: bytes) -> bytes:
    return blake2b(data, digest_size=16, key=bytes.fromhex(key)).digest()
