"""What every command shares: exit codes, where words go, errors said plainly. Imports nothing heavy."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")

DONE: Final = 0
BOARD_FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
TIMED_OUT: Final = 4
DIVERGED: Final = 5
INTERRUPTED: Final = 130

MARKS = {
    "done": "✓", "skipped": "·", "failed": "✗", "spent": "=", "under_way": "…", "retry": "…", "ready": "-", "waiting": "-",
    "outbid": "o", "unaffordable": "$",
}  # fmt: skip
ASCII_MARKS = {**MARKS, "done": "+", "skipped": ".", "failed": "x", "under_way": "~", "retry": "~"}
MOST_COLUMNS = 60
"""Pages that a coverage grid shows one by one; above, it counts them."""


@dataclass(slots=True)
class State:
    """What the options before the command say."""

    debug: bool = False


def say(text: str = "") -> None:
    """Words for people, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def out(text: str) -> None:
    """The result that was asked for, on stdout."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()


def out_json(value: Any) -> None:
    """The result as one line of JSON, on stdout."""
    import orjson

    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def out_lines(values: Iterable[Any]) -> None:
    """A listing as JSON Lines, on stdout."""
    for value in values:
        out_json(value)


def as_table(as_json: bool | None) -> bool:
    """Whether a listing is for people: where that was asked for, else on a terminal."""
    return sys.stdout.isatty() if as_json is None else not as_json


def columns(rows: Iterable[Sequence[str]], *, header: Sequence[str] = ()) -> str:
    """Rows with their columns aligned; the last column is not padded."""
    table = [*([header] if header else []), *rows]
    if not table:
        return ""
    widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(max(map(len, table)))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip() for row in table)
    return "\n".join(lines)


def coverage_table(coverage: dict[str, dict[str, str]]) -> str:
    """The grid of pages and sources that an ended board keeps: one row a source, one mark a page."""
    pages = range(1, max((int(cell) for row in coverage.values() for cell in row if cell.isdigit()), default=0) + 1)
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "ascii")
        marks = MARKS
    except UnicodeEncodeError:
        marks = ASCII_MARKS
    wide = len(pages) <= MOST_COLUMNS
    rows = []
    for source, row in coverage.items():
        if wide:
            cells = "".join(marks.get(row[str(page)], "?") if str(page) in row else " " for page in pages)
        else:
            cells = _counted({page: row[str(page)] for page in pages if str(page) in row})
        rows.append((source, marks.get(row["board"], "?") if "board" in row else " ", cells))
    header = (
        "source",
        "board",
        (f"pages {pages[0]}-{pages[-1]}" if len(pages) > 1 else "page 1") if pages else "pages",
    )
    seen = {state for row in coverage.values() for state in row.values()}
    legend = "  ".join(f"{mark} {state}" for state, mark in marks.items() if state in seen)
    return f"{columns(rows, header=header)}\n{legend}"


def _counted(states: dict[int, str]) -> str:
    words = []
    for state in dict.fromkeys(states.values()):
        pages = [page for page, each in states.items() if each == state]
        named = f" ({', '.join(map(str, pages[:8]))}{', ...' if len(pages) > 8 else ''})" if state == "failed" else ""
        words.append(f"{len(pages)} {state}{named}")
    return ", ".join(words)


def run(work: Coroutine[Any, Any, T], *, lasting: bool = False) -> T:
    """Run a command's coroutine. SIGTERM ends it as Ctrl-C does, in good order; the exit code is 143.

    `lasting`: it serves for long, and is worth the faster event loop.
    """
    import asyncio
    import signal

    async def until_told() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    factory = None
    if lasting:
        import uvloop

        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(until_told())
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


def explain(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong, why and what to do; the exit code it stands for. With `debug` the traceback goes first."""
    from blackboard.errors import BlackboardError

    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return explain(error.exceptions[0], debug=False)
    if isinstance(error, BlackboardError):
        say(f"error: {error}")
        if error.hint:
            say(f"hint: {error.hint}")
        return code_of(error)
    if isinstance(error, OSError) and error.filename:
        say(f"error: {error.filename}: {error.strerror}")
        return USAGE
    say(f"error: {type(error).__name__}: {error}")
    if not debug:
        say("hint: this should not happen; `blackboard --debug ...` shows where it came from")
    return BOARD_FAILED


def code_of(error: BaseException) -> int:
    """The exit code an error stands for."""
    from blackboard import errors

    table: tuple[tuple[type[BaseException], int], ...] = (
        (errors.LogError, DIVERGED),
        (errors.StorageError, UNREACHABLE),
        (errors.UsageError, USAGE),
        (errors.BoardGone, USAGE),
        (errors.AccessError, USAGE),
        (errors.LimitReached, UNREACHABLE),
        (errors.ServiceError, UNREACHABLE),
        (TimeoutError, TIMED_OUT),
    )
    return next((code for kind, code in table if isinstance(error, kind)), BOARD_FAILED)


def silence_stdout() -> None:
    """After a broken pipe: let the interpreter's last flush go nowhere instead of complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
