"""The table of problems on docs/api.md: `python -m tests.api_page` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from blackboard.client.problems import class_of
from controller.http.problems import CATALOGUE

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
OPENING = "<!-- made by `python -m tests.api_page` -->\n"
CLOSING = "<!-- end -->\n"


def table() -> str:
    """Every problem, by status, with the class that the client raises."""
    rows = [
        f"| {kind.status} | `{slug}` | `{class_of(slug, kind.status).__name__}` | {kind.about.replace('|', chr(92) + '|')} |"
        for slug, kind in sorted(CATALOGUE.items(), key=lambda item: item[1].status)
    ]
    return "\n".join(["| status | slug | raised as | meaning |", "|---|---|---|---|", *rows, ""])


def written() -> str:
    """The page with the table as it should be."""
    pattern = f"{re.escape(OPENING)}.*?{re.escape(CLOSING)}"
    return re.sub(pattern, lambda _: OPENING + table() + CLOSING, PAGE.read_text(), flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(written())
