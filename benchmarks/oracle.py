"""A model that knows the answers: it stands behind a protocol server, and errs at a rate that is set.

It knows the text and the facts of each paper, and nothing of how they are found. Asked to read a page it writes down the
text, each letter wrong with the rate; asked what a page names it lists the facts that are printed there, each left out with
the rate; claims and summaries are sentences of the page, one of their figures wrong with the rate. Of what others claim it
says that nothing else decides it, and it finds no contradictions: such errors as papers hold are found by the local checks.
"""

from __future__ import annotations

import base64
import io
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.documents.routed import Paper
from tests.models.brain import schema_in

RULES = "You read documents for an analysis"
"""How every question of a source begins."""
THUMBNAIL = (64, 90)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MOST_SENTENCES = 8
_PAGE = re.compile(r"Page (\d+)")
_ASKED = re.compile(r"about page (\d+) alone")
_SENTENCE = re.compile(r"[^.\n]{20,300}\.(?=\s|$)", re.S)
_NUMBERED = re.compile(r"^(\d+)\. ", re.M)

Thumbnail = NDArray[np.float32]


class Oracle:
    """The text of an answer to a request's body. The same body, the same answer."""

    def __init__(
        self, papers: Sequence[Paper], error_rate: float = 0.02, otherwise: Callable[[Mapping[str, Any]], str] = str
    ) -> None:
        """`otherwise` answers what is no question of a source's: those by which it is found out what a server can do."""
        self._rate, self._otherwise = error_rate, otherwise
        self._facts = {fact for paper in papers for fact in paper.facts}
        self._pages = [
            (_thumbnail(picture), text)
            for paper in papers
            for picture, text in zip(paper.pictures, paper.texts, strict=False)
        ]

    def __call__(self, body: Mapping[str, Any]) -> str:
        """See benchmarks.oracle."""
        if RULES not in json.dumps(body.get("system", ""), ensure_ascii=False):
            return self._otherwise(body)
        chance = random.Random(sha256(json.dumps(body, sort_keys=True).encode()).digest())
        blocks = [block for message in body["messages"][:1] for block in message["content"]]
        said = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        pages = {
            int(found[1]): block["source"]["data"]
            for block in blocks
            if block["type"] == "document" and (found := _PAGE.match(block.get("title") or ""))
        }
        schema = schema_in(body)
        if schema is None:
            return self._sentences(pages, said, chance)
        return json.dumps(self._filled(schema, blocks, pages, said, chance), ensure_ascii=False)

    def _filled(
        self,
        schema: Mapping[str, Any],
        blocks: Sequence[Mapping[str, Any]],
        pages: Mapping[int, str],
        said: str,
        chance: random.Random,
    ) -> dict[str, Any]:
        properties, parts = schema["properties"], schema.get("$defs", {})
        if "lines" in properties:
            return {"lines": self._read(blocks, chance), "unread": ""}
        if "Named" in parts:
            asked = _ASKED.search(said)
            return {"items": self._named(pages.get(int(asked[1]), "") if asked else "", chance)}
        if "Judgement" in parts:
            claims = next(block["source"]["data"] for block in blocks if block.get("title") == "Claims")
            reason = "No other place of the document decides it."
            undecided = {"label": "not_enough_information", "reason": reason, "evidence": []}
            return {"items": [{"claim": int(number), **undecided} for number in _NUMBERED.findall(claims)]}
        return {"text": "", "evidence": []} if "text" in properties else {"items": []}

    def _read(self, blocks: Sequence[Mapping[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
        picture = next(block for block in blocks if block["type"] == "image")
        seen = _thumbnail(Image.open(io.BytesIO(base64.b64decode(picture["source"]["data"]))))
        _, text = min(self._pages, key=lambda page: float(np.abs(page[0] - seen).mean()))
        return [{"text": self._blurred(line, chance), "sure": True} for line in text.splitlines()]

    def _named(self, page: str, chance: random.Random) -> list[dict[str, str]]:
        there = sorted((fact for fact in self._facts if fact.printed in page), key=lambda fact: fact.printed)
        return [
            {"type": fact.type, "text": fact.printed, "role": fact.role, "context": ""}
            for fact in there
            if chance.random() >= self._rate
        ]

    def _sentences(self, pages: Mapping[int, str], said: str, chance: random.Random) -> str:
        asked = _ASKED.search(said)
        wanted = [int(asked[1])] if asked else sorted(pages)
        found = [(number, text) for number in wanted for text in _SENTENCE.findall(pages.get(number, ""))]
        drafts = []
        for number, text in found[: MOST_SENTENCES if asked else MOST_SENTENCES // 2]:
            plain = " ".join(text.split())
            wrong = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), plain, count=1)
            drafts.append(f"{wrong if chance.random() < self._rate else plain}\n> {number}: {plain}")
        return "\n\n".join(drafts) or "NONE"

    def _blurred(self, line: str, chance: random.Random) -> str:
        return "".join(
            chance.choice(LETTERS) if sign.isalnum() and chance.random() < self._rate else sign for sign in line
        )


def _thumbnail(picture: Image.Image) -> Thumbnail:
    return np.asarray(picture.convert("L").resize(THUMBNAIL, Image.Resampling.BOX), dtype=np.float32)
