"""What a pending activation has to do with the workers there are, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from blackboard.entries import Activation, is_shadow, plain_name
from blackboard.ports import LeaseRow
from blackboard.presence import Presence, served
from controller.adoption import Wait, wait_for


@dataclass(frozen=True, slots=True)
class Staff:
    """Who serves what; `versions`: of the code at hand, by source."""

    presence: Presence
    versions: Mapping[str, str]
    adopt_ms: int

    def waits(self, activation: Activation, head: Mapping[str, str]) -> Wait | None:
        """The version an activation waits for; None while somebody serves it."""
        source, version = str(activation.data["source"]), str(activation.data["version"])
        preferred = self.versions.get(plain_name(source), "")
        return wait_for(source, version, self.presence, preferred, int(head.get("created", 0)))

    def words(self, activation: Activation, head: Mapping[str, str], now: int) -> str:
        """What to say behind "it waits for a worker"."""
        wait = self.waits(activation, head)
        if wait is None:
            name, version = plain_name(str(activation.data["source"])), str(activation.data["version"])
            count = len(self.presence.serving(name, version))
            return f": {count} {'serves' if count == 1 else 'serve'} {served(name, version)}"
        since = datetime.fromtimestamp(wait.since / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        said = f": no worker serves {served(plain_name(wait.source), wait.version)} (since {since})"
        left = max(0, wait.since + self.adopt_ms - now) / 1000
        when = f"in {left:.0f} s" if left else "now"
        if wait.other:
            return (
                f"{said}; a worker serves {served(plain_name(wait.source), wait.other)}, which the board adopts {when}"
            )
        if is_shadow(wait.source):
            return f"{said}, nor any other version; as a shadow it is left out {when}"
        return f"{said}, nor any other version: it waits for one to come" + (
            ", until the board's deadline" if head.get("deadline_ms") else ""
        )


def holder(lease: LeaseRow) -> str:
    """The worker that holds a lease: its nonces are its name and a number."""
    return lease.nonce.rpartition("-")[0] or lease.nonce
