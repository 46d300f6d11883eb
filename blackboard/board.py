"""A board, and `apply`: the fold of its log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from blackboard.entries import Activation, Header
from blackboard.errors import LogError
from blackboard.events import ENDED, LogRecord


@dataclass(slots=True)
class Board:
    """The projection of a log at a revision, in the stored bytes: what the server's four hashes hold.

    `head` has revision, incarnation, status, tenant and what the submitter asked for; `entries` maps keys to headers;
    `values` to JSON, live entries only; `agenda` maps activations to their records.
    """

    id: str
    head: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    agenda: dict[str, bytes] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """The last revision applied; 0 before the first."""
        return int(self.head.get("revision", 0))

    @property
    def status(self) -> str:
        """open, completed, failed or cancelled."""
        return self.head.get("status", "")

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self.status in ENDED

    def header(self, key: str) -> Header | None:
        """The header of an entry, tombstones included, or None if it never existed."""
        text = self.entries.get(key)
        return None if text is None else Header.parse(text)

    def activation(self, id: str) -> Activation | None:
        """One record of the agenda, or None."""
        stored = self.agenda.get(id)
        return None if stored is None else Activation.parse(id, stored)


def apply(board: Board, record: LogRecord) -> None:
    """Take the board one revision further, in place. Notes change nothing.

    Raises LogError when the record is not the next one, follows the end, or steps an entry's version by other than one.
    """
    if record.is_note:
        if record.revision != board.revision:
            raise LogError(f"note {record.id} stands behind revision {board.revision}")
        return
    if record.revision != board.revision + 1:
        raise LogError(f"the log jumps from revision {board.revision} to {record.revision}")
    if board.ended:
        raise LogError(f"record {record.id} follows the end of the board")
    created = record.revision == 1
    for key, text in record.entries.items():
        known = board.entries.get(key)
        version, state, _ = text.split("|", 2)
        if not created and int(version) != (int(known.split("|", 1)[0]) if known else 0) + 1:
            raise LogError(f"record {record.id} takes {key} to version {version} from {known or 'nothing'}")
        board.entries[key] = text
        if state == "gone":
            board.values.pop(key, None)
        elif key in record.values:
            board.values[key] = record.values[key]
        else:
            raise LogError(f"record {record.id} writes {key} without its value")
    board.agenda.update(record.agenda)
    board.head.update(record.head)
    board.head["revision"] = str(record.revision)


def fold(id: str, records: Iterable[LogRecord], *, at: int | None = None) -> Board:
    """The board at revision `at` (the last one if None). Raises LogError on a gap or when `at` lies beyond the log."""
    board = Board(id)
    for record in records:
        if at is not None and record.revision > at:
            break
        apply(board, record)
    if at is not None and board.revision != at:
        raise LogError(f"the log ends at revision {board.revision}, before {at}")
    return board
