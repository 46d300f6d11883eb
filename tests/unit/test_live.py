"""Live progress: what a tracker makes of records, and which plain lines are worth saying."""

from __future__ import annotations

import io

import orjson
import pytest

from blackboard.entries import Activation
from blackboard.events import LogRecord
from controller.live import PlainPainter, TerminalPainter, Tracker, painter_for, place_of_binding


def record(revision: int, *activations: tuple[str, str, str], **more: object) -> LogRecord:
    """A record that sets (source, binding, status) activations."""
    agenda = {}
    for source, binding, status in activations:
        data = {"source": source, "binding": binding, "n": 1}
        agenda[f"{source}.{binding}"] = bytes(Activation(f"{source}.{binding}", status, 1, (), data))  # type: ignore[arg-type]
    return LogRecord(revision, 0, 1000 * revision, "controller.decided", "controller", "abc", agenda=agenda, **more)  # type: ignore[arg-type]


def progress(source: str, binding: str, done: float, total: float, note: str = "") -> bytes:
    return orjson.dumps({"source": source, "binding": binding, "done": done, "total": total, "note": note})


@pytest.mark.parametrize(
    ("binding", "place"),
    [
        ("layer/0003", "page 3"),
        ("claim/0012.b9a5", "page 12"),
        ("7", "page 7"),
        ("board", "document"),
        ("upload/original", "document"),
        ("document/original-1", "document"),
        ("summary/0002", "summary/0002"),
        ("page/cover", "page/cover"),
    ],
)
def test_places(binding: str, place: str) -> None:
    assert place_of_binding(binding) == place


def test_a_tracker_counts_pages_and_sources() -> None:
    tracker = Tracker("a.pdf")
    tracker.take(record(1, values={"document/original-1": b'{"pages":3}'}, head={"status": "open"}))
    assert tracker.take(record(2, ("ocr", "layer/0001", "running"), ("ocr", "layer/0002", "pending"))) == ["ocr"]
    row = tracker.rows["ocr"]
    assert (tracker.pages, row.done, len(row.bindings), row.doing()) == (3, 0, 2, "page 1")
    assert tracker.hear(progress("ocr", "layer/0001", 1, 4)) == "ocr"
    assert row.doing() == "page 1 25%"
    tracker.hear(progress("ocr", "layer/0001", 0, 1, "reading page 1 of 3"))
    assert row.doing() == "reading page 1 of 3"
    tracker.take(record(3, ("ocr", "layer/0001", "failed"), ("ocr", "layer/0002", "done")))
    assert (row.done, row.failed, row.doing()) == (2, 1, "")
    assert not tracker.ended
    tracker.take(record(4, head={"status": "completed"}))
    assert tracker.ended and tracker.seconds == 3.0


def test_an_answer_that_is_being_written_is_shown_by_its_end() -> None:
    tracker = Tracker("a.pdf")
    tracker.take(record(1, ("summary_model", "board", "running")))
    for text in ("The parties agreed\non the \x1b[31mprice", " of 7,231.20 EUR, which falls due in thirty days."):
        message = orjson.dumps({"source": "summary_model", "binding": "board", "text": text})
        assert tracker.hear(message) == "summary_model"
    shown = tracker.rows["summary_model"].doing()
    assert shown.endswith("which falls due in thirty days.")
    assert shown.isprintable() and len(shown) < 80


def test_progress_of_what_does_not_run_is_nothing() -> None:
    tracker = Tracker("a.pdf")
    assert tracker.hear(progress("ocr", "layer/0001", 1, 2)) == ""
    tracker.take(record(1, ("ocr", "layer/0001", "done")))
    assert tracker.hear(progress("ocr", "layer/0001", 1, 2)) == ""


def test_plain_lines_tell_each_source_once_it_is_through() -> None:
    stream, tracker = io.StringIO(), Tracker("a.pdf")
    with PlainPainter(stream, titled=True) as painter:
        painter.moved(
            tracker, tracker.take(record(1, ("ocr", "layer/0001", "running"), ("ocr", "layer/0002", "pending")))
        )
        painter.moved(tracker, tracker.take(record(2, ("ocr", "layer/0001", "done"))))
        painter.moved(tracker, tracker.take(record(3, ("ocr", "layer/0002", "failed"))))
        painter.moved(tracker, ["ocr"])
    assert stream.getvalue().splitlines() == ["   2.00s  a.pdf: ocr            2/2  1 failed"]


def test_the_terminal_table_names_what_runs() -> None:
    from rich.console import Console

    tracker, ended = Tracker("a.pdf"), Tracker("b.pdf", status="completed")
    painter = TerminalPainter([tracker, ended])
    painter.moved(tracker, tracker.take(record(1, ("ocr", "layer/0001", "running"), ("ocr", "layer/0002", "done"))))
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(painter._draw())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a.pdf" in shown and "1/2" in shown and "page 1" in shown
    assert "b.pdf  completed" in shown


def test_the_painter_fits_the_stream() -> None:
    assert isinstance(painter_for([], io.StringIO()), PlainPainter)
