"""Live progress of boards: what each source has done, page by page, told from log records and progress messages.

`Tracker` is pure. Two painters show it on stderr: a table that redraws itself on a terminal, and plain lines elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

import orjson

from blackboard.entries import Activation, level_of, name_of
from blackboard.events import LogRecord

WAITING = frozenset({"pending", "running", "deferred"})
OF_A_PAGE = frozenset({"layer", "reading", "page", "mentions", "claim"})
LINE_EVERY_S = 1.0
"""How often a plain line tells of one source, its last step aside."""
BAR = 20
TAIL = 60
"""Characters shown of an answer that is being written."""


def place_of_binding(binding: str) -> str:
    """`page 3` for what works on a page or on a group of what was found there; the binding itself, or `document`."""
    level, name = level_of(binding), name_of(binding)
    if not name:
        return f"page {int(binding)}" if binding.isdigit() else "document"
    if level in OF_A_PAGE:
        number = name.partition(".")[0]
        return f"page {int(number)}" if number.isdigit() else binding
    return "document" if level in ("upload", "document") else binding


@dataclass(slots=True)
class SourceRow:
    """One source on one board."""

    name: str
    bindings: dict[str, str] = field(default_factory=dict)
    """Binding -> status of its latest activation."""
    notes: dict[str, tuple[float, float, str]] = field(default_factory=dict)
    """Binding -> (done, total, note), while it runs."""

    @property
    def done(self) -> int:
        """Bindings that need no more work."""
        return sum(status not in WAITING for status in self.bindings.values())

    @property
    def failed(self) -> int:
        """Bindings that failed, for now or for good."""
        return sum(status == "failed" for status in self.bindings.values())

    def doing(self) -> str:
        """Where it works now, with the progress it tells."""
        words = []
        for binding, status in self.bindings.items():
            if status == "running":
                done, total, note = self.notes.get(binding, (0.0, 0.0, ""))
                place = place_of_binding(binding)
                said = note if place in note else f"{place} {note}".rstrip()
                words.append(f"{said} {done / total:.0%}" if total and done else said)
        more = f" and {len(words) - 3} more" if len(words) > 3 else ""
        return ", ".join(words[:3]) + more


@dataclass(slots=True)
class Tracker:
    """What is known of one board under way."""

    title: str
    rows: dict[str, SourceRow] = field(default_factory=dict)
    pages: int = 0
    status: str = "open"
    began: int = 0
    last: int = 0

    def take(self, record: LogRecord) -> list[str]:
        """The next record; the sources it concerns."""
        self.began = self.began or record.at
        self.last = record.at
        self.status = record.head.get("status", self.status)
        if record.is_note:
            return []
        for key, value in record.values.items():
            if level_of(key) == "document":
                self.pages = int(orjson.loads(value).get("pages", 0))
        touched = []
        for id, stored in record.agenda.items():
            activation = Activation.parse(id, stored)
            name, binding = str(activation.data["source"]), str(activation.data["binding"])
            row = self.rows.setdefault(name, SourceRow(name))
            # Not now is no failure: it is still to be done.
            row.bindings[binding] = "deferred" if _is_put_off(activation) else activation.status
            if activation.status != "running":
                row.notes.pop(binding, None)
            touched.append(name)
        return list(dict.fromkeys(touched))

    def hear(self, message: bytes) -> str:
        """A message of progress, or a piece of an answer; the source it is about."""
        said: dict[str, Any] = orjson.loads(message)
        name, binding = str(said.get("source", "")), str(said.get("binding", ""))
        row = self.rows.get(name)
        if row is None or row.bindings.get(binding) != "running":
            return ""
        if "text" in said:
            # Of an answer that is being written, the end: on one line, and without what a terminal would obey.
            text = row.notes.get(binding, (0.0, 0.0, ""))[2] + str(said["text"])
            shown = "".join(sign if sign.isprintable() else " " for sign in text)
            row.notes[binding] = (0.0, 0.0, shown[-TAIL:])
            return name
        row.notes[binding] = (float(said.get("done", 0)), float(said.get("total", 0)), str(said.get("note", "")))
        return name

    @property
    def ended(self) -> bool:
        """Whether the board has ended."""
        return self.status != "open"

    @property
    def seconds(self) -> float:
        """Between its first and its latest record, by the server's clock."""
        return (self.last - self.began) / 1000


def _is_put_off(activation: Activation) -> bool:
    return activation.status == "failed" and "deferred" in activation.data


class Painter(Protocol):
    """Shows trackers while a block runs."""

    def __enter__(self) -> Painter: ...
    def __exit__(self, *_: object) -> None: ...
    def moved(self, tracker: Tracker, sources: Iterable[str]) -> None:
        """Something happened at these sources."""


class PlainPainter:
    """A line whenever a source has got on, at most one a second for each, and always one when it is through."""

    def __init__(self, stream: TextIO, *, titled: bool) -> None:
        self._stream = stream
        self._titled = titled
        self._next: dict[tuple[int, str], float] = {}
        self._said: dict[tuple[int, str], str] = {}

    def __enter__(self) -> PlainPainter:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def moved(self, tracker: Tracker, sources: Iterable[str]) -> None:
        """See Painter."""
        for name in sources:
            row = tracker.rows[name]
            doing = row.doing()
            through = not doing and row.done == len(row.bindings)
            now, key = time.monotonic(), (id(tracker), name)
            if not through and now < self._next.setdefault(key, now + LINE_EVERY_S):
                continue
            text = f"{name:<14} {row.done}/{len(row.bindings)}"
            text += f"  {row.failed} failed" if row.failed else ""
            text += f"  {doing}" if doing else ""
            if self._said.get(key) != text:
                self._said[key] = text
                self._next[key] = now + LINE_EVERY_S
                title = f"{tracker.title}: " if self._titled else ""
                self._stream.write(f"{tracker.seconds:7.2f}s  {title}{text}\n")
                self._stream.flush()


class TerminalPainter:
    """A table for each board under way, redrawn in place; a board that has ended shrinks to a line."""

    def __init__(self, trackers: Iterable[Tracker]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._trackers = list(trackers)
        self._moved: dict[int, float] = {}
        self._live = Live(console=Console(stderr=True), get_renderable=self._draw, refresh_per_second=8, transient=True)

    def __enter__(self) -> TerminalPainter:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def moved(self, tracker: Tracker, sources: Iterable[str]) -> None:
        """See Painter; the screen is redrawn by the clock."""
        self._moved[id(tracker)] = time.monotonic()

    def _seconds(self, tracker: Tracker) -> float:
        """How long the board has been open: up to its latest record by the server's clock, from there by ours."""
        now = time.monotonic()
        return tracker.seconds + (0.0 if tracker.ended else now - self._moved.get(id(tracker), now))

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        for tracker in self._trackers:
            pages = f"  {tracker.pages} page{'s' if tracker.pages != 1 else ''}" if tracker.pages else ""
            parts.append(
                Text(f"{tracker.title}{pages}  {tracker.status}  {self._seconds(tracker):.1f} s", style="bold")
            )
            if tracker.ended:
                continue
            table = Table.grid(padding=(0, 1))
            for row in tracker.rows.values():
                total = len(row.bindings)
                filled = BAR * row.done // total if total else 0
                bar = Text("━" * filled, style="green") + Text("━" * (BAR - filled), style="bright_black")
                failed = Text(f"{row.failed} failed", style="red") if row.failed else Text("")
                table.add_row(
                    f"  {row.name}", bar, f"{row.done}/{total}", failed, Text(row.doing(), overflow="ellipsis")
                )
            parts.append(table)
        return Group(*parts)


def painter_for(trackers: list[Tracker], stream: TextIO = sys.stderr) -> Painter:
    """The painter that fits where stderr goes."""
    if stream.isatty():
        return TerminalPainter(trackers)
    return PlainPainter(stream, titled=len(trackers) > 1)
