"""A document, and what is asked of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Literal

import orjson

from blackboard.levels import Address, Upload
from blackboard.once import Once
from controller.policy import DEFAULT, Policy


@dataclass(frozen=True, slots=True)
class Submission:
    """A document and what is asked of it: `text`, or `url`, or `sha256` and `size` of bytes in the blob store."""

    sha256: str = ""
    size: int = 0
    text: str | None = None
    url: str | None = None
    filename: str | None = None
    declared_type: str | None = None
    tenant: str = "default"
    goal: tuple[str, ...] = ()
    """Levels to settle; () is all."""
    sources: tuple[str, ...] = ()
    """Names of the sources that may work on it; () is all that are there by default, and all who compete."""
    shadow: tuple[str, ...] = ()
    """Names of the sources that write to the side space alone."""
    deadline_s: float | None = None
    priority: Literal["interactive", "batch"] = "interactive"
    hold: Literal["", "review"] = ""
    policy: Policy = DEFAULT
    callback: str = ""
    """Where to tell of the end of this board alone."""
    by: str = "submitter"
    once: Once | None = None

    @property
    def given(self) -> str:
        """The level that its board begins with."""
        return Upload.level if self.url is None else Address.level

    @property
    def words(self) -> bytes:
        """All that is asked for, whoever asks, in one way: equal for equal requests."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given |= {"policy": self.policy.text(), "once": None, "text": None}
        if self.text is not None:
            given["sha256"] = hashlib.sha256(self.text.encode()).hexdigest()
        return orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
