"""Writes docs/worked-board.md from the log of a real board.

blackboard analyze examples/scanned-invoice.pdf
blackboard log ID --json > board.jsonl
python docs/make_worked_board.py board.jsonl > docs/worked-board.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import orjson

from blackboard.entries import Activation, level_of
from blackboard.events import LogRecord
from blackboard.replay import read_log, verify
from controller.commands.console import coverage_table
from controller.commands.telling import line_of, outcome_of

WIDTH = 118
HANGING: Any = {"subsequent_indent": " " * 61, "drop_whitespace": True, "break_on_hyphens": False}


def main() -> None:
    """Read the log named on the command line; write the page to stdout."""
    records = list(read_log(Path(sys.argv[1])))
    verify("worked", records)
    sys.stdout.write("\n".join(page(records)) + "\n")


def page(records: list[LogRecord]) -> Iterator[str]:
    """The page, part by part."""
    began, last = records[0].at, records[-1]
    upload = value(records[0], "upload")
    yield "# A worked board\n"
    yield words(
        f"This is one real board from its first record to its last: {upload['filename']}, {upload['size']:,} bytes, read in "
        f"{(last.at - began) / 1000:.1f} seconds and {last.revision} revisions. The page is made from the board's log by "
        "`docs/make_worked_board.py`; each line shows a record's id, the seconds since the board began, its type, who wrote "
        "it, and what it changed. `blackboard log ID` prints the same for any board.\n"
    )
    for title, text, shown in sections(records):
        if shown:
            yield f"## {title}\n\n{words(text)}\n"
            yield "```\n" + "\n".join(fill(line_of(record, began), WIDTH, **HANGING) for record in shown) + "\n```\n"
    yield from findings(records)
    yield from ending(last)
    yield "## The whole log\n\n```"
    yield from (cut(line_of(record, began)) for record in records)
    yield "```"


def sections(records: list[LogRecord]) -> Iterator[tuple[str, str, list[LogRecord]]]:
    """Title, explanation and records of each step, as far as the board took it."""
    yield (
        "It begins",
        "Submitting makes the board and its first entry in one commit. The controller sees what can be done with an upload "
        "and puts one activation on the agenda; a worker claims it and gets a lease. The claim is a revision too.",
        [records[0], *first(records, is_type("controller.decided")), *first(records, is_type("activation.claimed"))],
    )
    yield (
        "What the document is, and which pages can be read",
        "`intake` tells the kind by content, not by name. `layers` yields one entry for each page and says whether its "
        "text layer can be trusted; each is committed when it is yielded, so OCR of page 1 may begin while others follow.",
        [*first(records, writes("document")), *first(records, writes("layer"))],
    )
    reading = first(records, writes("reading"))
    reason = value(first(records, writes("layer"))[0], "layer").get("reason", "") if reading else ""
    yield (
        "Reading a picture",
        f"The text layer was not good enough ({reason.rstrip('.')}), so `ocr`'s precondition holds and it is decided for "
        "that page alone. The number in brackets is the confidence.",
        [*first(records, decides("ocr")), *reading],
    )
    yield (
        "One page, one text",
        "`pages` waits for the group of everything known of one page: its layer and its readings. It runs as soon as no "
        "source could add to that group any more, page by page; it does not wait for the rest of the document.",
        [*first(records, decides("pages")), *first(records, writes("page"))],
    )
    many = max(records, key=lambda record: len({each.data["source"] for each in agenda(record)}))
    yield (
        "Several specialists at once",
        "Whoever reads pages is decided in the same commit; none of them knows of the others.",
        [many],
    )
    yield (
        "Checking",
        "Claims of a page are held against the passages of the whole document, sentences of the summary against the same, "
        "and figures against each other.",
        [*first(records, writes("claim")), *first(records, writes("passages")), *first(records, writes("verdict"))],
    )


def findings(records: list[LogRecord]) -> Iterator[str]:
    """What the checks refuted, with its evidence."""
    refuted = [
        orjson.loads(stored)
        for record in records
        for key, stored in record.values.items()
        if level_of(key) == "verdict" and orjson.loads(stored)["label"] == "refuted"
    ]
    if refuted:
        yield "What the checks found wrong:\n"
    for verdict in refuted:
        yield words(f"- {verdict['reason']} (check `{verdict['check']}`)")
        for place in verdict["evidence"]:
            yield words(f"    - page {place['page']}: “{' '.join(place['text'].split())}”")
    if refuted:
        yield ""


def ending(last: LogRecord) -> Iterator[str]:
    """The outcome and its coverage grid."""
    outcome = outcome_of(last.head)
    yield "## It ends\n"
    yield words(
        f"Everything that was asked for is settled, so the controller writes the last record: {outcome['reason']}. That "
        "commit checks the board's revision, so nothing can slip in before the end. The outcome keeps a grid of "
        "what each source did for the board and for each page.\n"
    )
    yield f"```\n{coverage_table(outcome['coverage'])}\n```\n"


def first(records: list[LogRecord], fits: Callable[[LogRecord], bool]) -> list[LogRecord]:
    """The first record that fits, if there is one."""
    return [record for record in records if fits(record)][:1]


def is_type(type: str) -> Callable[[LogRecord], bool]:
    """Records of a type."""
    return lambda record: record.type == type


def writes(level: str) -> Callable[[LogRecord], bool]:
    """Records that put an entry of a level."""
    return lambda record: any(level_of(key) == level for key in record.values)


def decides(source: str) -> Callable[[LogRecord], bool]:
    """Decisions that put a source on the agenda."""
    return lambda record: (
        record.type == "controller.decided" and any(each.data["source"] == source for each in agenda(record))
    )


def agenda(record: LogRecord) -> list[Activation]:
    """The activations a record sets."""
    return [Activation.parse(id, stored) for id, stored in record.agenda.items()]


def value(record: LogRecord, level: str) -> dict[str, Any]:
    """The first value of a level that a record puts."""
    found = next(stored for key, stored in record.values.items() if level_of(key) == level)
    return dict(orjson.loads(found))


def cut(line: str) -> str:
    """A line that fits the page."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def words(text: str) -> str:
    """Filled to the width of a page; what is indented stays so."""
    indent = " " * (len(text) - len(text.lstrip()))
    return fill(
        text.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + ("  " if "- " in text[:6] else "")
    ) + ("\n" if text.endswith("\n") else "")


if __name__ == "__main__":
    main()
