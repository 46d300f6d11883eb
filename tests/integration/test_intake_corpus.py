"""Real documents, through the sandbox: the right kind, a typed outcome, and text as good as what was measured."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from blackboard.errors import DocumentUnreadable, PermanentFailure
from blackboard.levels import Layer
from blackboard.sandbox.pool import Sandbox, Sandboxes
from knowledge_sources.intake import reader

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "dev"
pytestmark = pytest.mark.skipif(
    not (CORPUS / "manifest.json").exists(), reason="the corpus of real documents is not here"
)
REFUSED = {"application/vnd.ms-outlook", "application/octet-stream"}
NEEDS_OCR = {
    **dict.fromkeys(("scanned", "scanned-rotated", "garbage-text-layer", "huge-page"), True),
    **dict.fromkeys(("born-digital", "born-digital-2col", "born-digital-3col", "rotated-table"), False),
}
KINDS = {"office-text-web-mail", "pdf", "invoice-pdf", "page-image"}


def items() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CORPUS / "manifest.json").read_text())["items"]
    return [item for item in found if item["kind"] in KINDS]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandboxes() as sandboxes:
        yield reader(sandboxes)


async def read(sandbox: Sandbox, item: dict[str, Any]) -> tuple[dict[str, Any], list[Layer]] | PermanentFailure:
    data = (CORPUS / item["file"]).read_bytes()
    try:
        found = await sandbox.call("inspect", data, filename=Path(item["file"]).name)
        return found, [Layer.model_validate(raw) async for raw in sandbox.stream("layers", data)]
    except PermanentFailure as error:
        return error


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def word_f1(text: str, reference: str) -> float:
    found, wanted = words(text), words(reference)
    return 2 * (found & wanted).total() / max(1, found.total() + wanted.total())


async def test_every_file_has_the_right_kind_or_is_refused_in_words(sandbox: Sandbox) -> None:
    files = items()
    outcomes = await asyncio.gather(*(read(sandbox, item) for item in files))
    wrong = []
    for item, outcome in zip(files, outcomes, strict=True):
        truth = item.get("truth") if isinstance(item.get("truth"), dict) else {}
        broken = item["bytes"] == 0 or "expect" in (truth or {}) or bool((truth or {}).get("password"))
        if isinstance(outcome, DocumentUnreadable):
            if not (broken or item["mime"] in REFUSED) or not outcome.hint:
                wrong.append((item["id"], str(outcome)))
        elif isinstance(outcome, PermanentFailure):
            wrong.append((item["id"], str(outcome)))
        elif outcome[0]["media_type"] != item["mime"] or outcome[0]["pages"] != len(outcome[1]):
            wrong.append((item["id"], str(outcome[0])))
    assert not wrong


async def test_text_of_born_digital_pdfs(sandbox: Sandbox) -> None:
    scores = []
    for item in items():
        truth = item.get("truth")
        if item["kind"] != "pdf" or not isinstance(truth, dict) or truth["class"].startswith("scanned"):
            continue
        reference = truth.get("text") or truth.get("reference_md") or truth.get("text_layout")
        if not reference:
            continue
        outcome = await read(sandbox, item)
        if not isinstance(outcome, PermanentFailure):
            scores.append(word_f1("\n".join(layer.text for layer in outcome[1]), reference))
    assert len(scores) > 3
    assert sum(scores) / len(scores) > 0.95


async def test_scans_need_ocr_and_born_digital_pages_do_not(sandbox: Sandbox) -> None:
    wrong = []
    for item in items():
        truth = item.get("truth")
        if item["kind"] != "pdf" or not isinstance(truth, dict) or truth["class"] not in NEEDS_OCR:
            continue
        outcome = await read(sandbox, item)
        assert not isinstance(outcome, PermanentFailure)
        if any(layer.needs_ocr != NEEDS_OCR[truth["class"]] for layer in outcome[1]):
            wrong.append((item["id"], [layer.reason for layer in outcome[1]]))
    assert not wrong
