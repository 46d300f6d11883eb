"""A folder of documents with the truth about them: `manifest.json` lists the items."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Item:
    """One document: where it is, what kind the corpus calls it, and what is known about it."""

    path: Path
    kind: str
    truth: dict[str, Any]


def items(corpus: Path, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda truth: True) -> list[Item]:
    """The items of one kind whose truth is as wanted and whose file is there; none for a folder without a manifest."""
    manifest = corpus / "manifest.json"
    if not manifest.is_file():
        return []
    found = []
    for item in json.loads(manifest.read_bytes())["items"]:
        truth = item.get("truth")
        path = corpus / item["file"]
        if item["kind"] == kind and isinstance(truth, dict) and wanted(truth) and path.is_file():
            found.append(Item(path, kind, truth))
    return found
