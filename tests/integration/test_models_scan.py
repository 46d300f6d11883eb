"""A scan that a model reads, through the whole service: the page's picture goes out, and nothing else of the document."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from tests.integration.test_models_injected import board_values, is_question, questions
from tests.integration.test_models_service import serving
from tests.models import ModelServer
from tests.models.brain import answered

EXAMPLE = Path(__file__).parents[2] / "examples" / "scanned-invoice.pdf"
LINES = ("INVOICE  MH-2024-0318", "Amount due  GBP 7,321.20")


def reader(body: Mapping[str, Any]) -> str:
    """Reads the same from every picture; of the last line it is not sure."""
    if not is_question(body):
        return answered(body)
    lines = [{"text": text, "sure": text != LINES[-1]} for text in LINES]
    return orjson.dumps({"lines": lines, "unread": "a signature"}).decode()


async def test_a_scanned_page_is_shown_to_a_model_and_its_reading_is_the_page(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_server.answer = reader
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        options = {"models": orjson.dumps({"reading": "always"}).decode(), "goal": "page"}
        file = {"file": ("scan.pdf", EXAMPLE.read_bytes(), "application/pdf")}
        answer = await service.client.post("/v1/documents", files=file, data=options)
        assert answer.status_code == 202, answer.text
        board = str(answer.json()["id"])
        ending = await service.end(board)
        assert ending["status"] == "completed" and not ending.get("degraded"), ending
        values = await board_values(service, board)
    assert {key for key in values if key.startswith("reading/")} == {"reading/0001.model", "reading/0002.model"}
    reading, page = values["reading/0001.model"], values["page/0001"]
    assert page["text"] == reading["text"] == "\n".join(LINES)
    assert page["origin"] == "reading" and page["engine"] == "model" and reading["note"] == "a signature"
    calls = questions(model_server)
    assert len(calls) == 2
    for call in calls:
        (message,) = call.said["messages"]
        assert sorted(block["type"] for block in message["content"]) == ["image", "text", "text"]
        (picture,) = (block["source"] for block in message["content"] if block["type"] == "image")
        assert (picture["type"], picture["media_type"]) == ("base64", "image/png")
        with Image.open(io.BytesIO(base64.b64decode(picture["data"]))) as image:
            assert 1_000 < max(image.size) <= 1_568
