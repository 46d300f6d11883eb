"""What one connection, and one process, may ask of the wire before there is a request to answer."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from controller.settings import Settings

SPARE_FILES = 256
"""Descriptors left for the storage, blobs, logs and processes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes; `body_rate` in bytes a second."""

    header_bytes: int = 16 << 10
    target_bytes: int = 8 << 10
    header_s: float = 10.0
    body_s: float = 10.0
    body_rate: int = 500
    keep_alive_s: float = 30.0
    write_s: float = 60.0
    connections: int = 16_000

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that were set; no more connections than there can be descriptors."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = settings.http_connections
        if files != resource.RLIM_INFINITY:
            most = max(1, min(most, files - SPARE_FILES))
        return cls(
            header_bytes=settings.http_header_bytes,
            target_bytes=settings.http_target_bytes,
            header_s=settings.http_header_s,
            body_s=settings.http_body_s,
            body_rate=settings.http_body_rate,
            keep_alive_s=settings.http_keep_alive_s,
            write_s=settings.http_write_s,
            connections=most,
        )

    @property
    def body_step(self) -> int:
        """Bytes of a body that must arrive in each `body_s`, unless it ends."""
        return max(1, int(self.body_rate * self.body_s))
