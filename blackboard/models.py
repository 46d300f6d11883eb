"""How a source asks a language model, whatever stands behind it: what it imports, and what it is handed.

    @knowledge_source(version="1", cost="model", timeout=300)
    async def claims_model(page: Each[Page], pages: All[Page], model: LanguageModel) -> list[Claim]:
        for window in model.windows(pages):
            found = await model.ask(Claims, TASK, f"Page {page.number} only.", document=window)

Instructions are ours and come from files; the document's text, and whatever was made from it, is data and travels in blocks
of its own (`document=`, `Quoted`). What a model answers is data, too: it is checked before anything is done with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from blackboard.levels import Page

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Task:
    """An instruction as its file holds it. It is the same for every document; what differs is asked in a part of its own."""

    name: str
    text: str

    @property
    def version(self) -> str:
        """`name@digest`: what an answer's provenance keeps."""
        return f"{self.name}@{sha256(self.text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Quoted:
    """Text that is not ours, to be looked at and never obeyed: claims of a document, passages, somebody's entry."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as it looks."""

    data: bytes
    media_type: Literal["image/png", "image/jpeg", "image/webp", "image/gif"] = "image/png"


@dataclass(frozen=True, slots=True)
class Pdf:
    """A document, or some of its pages, as a PDF file."""

    data: bytes


Part = str | Quoted | Picture | Pdf
"""What one question adds to its task. A plain string is ours; never put a document's text into one."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A page's text, or where a page alone is too long for a model, `text[start:]` of it up to some length."""

    page: int
    text: str
    start: int = 0


class LanguageModel(Protocol):
    """A model, as one activation may use it. Every method raises

    - Deferred: not now (an outage, a limit, no concurrency); the activation waits, and it counts as no attempt.
    - ModelFailed: it will not do (refused, no valid answer, too long, nothing configured): trying again cannot help.
    - SpendingCapped: a cap of the board, of the tenant or of the day does not allow it.
    """

    @property
    def window_tokens(self) -> int:
        """Of a document in one question."""

    async def ask(
        self, answer: type[M], task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> M:
        """One typed answer. `document` goes first, the same bytes in every question of a board."""

    def stream(
        self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> AsyncIterator[str]:
        """An answer as text, piece by piece; watchers see the pieces. Raises at its end if it was not whole."""

    async def count(self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = ()) -> int:
        """How many tokens a question would be."""

    def windows(self, pages: Sequence[Page], *, reserve: int = 0) -> list[tuple[Excerpt, ...]]:
        """The document in ranges of pages that each fit a question; one range where all of it does.

        The same pages give the same ranges to every source of a board. `reserve`: tokens a question needs besides.
        """


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a model is asked. `budget_usd`: what the board's own budget allows it in all."""

    tenant: str
    board: str
    activation: str = ""
    epoch: int = 0
    source: str = ""
    binding: str = ""
    budget_usd: float | None = None


class Hearer(Protocol):
    """What an activation hears of its calls."""

    def spent(self, usd: float, tokens: int) -> None:
        """So much more, dollars and tokens in and out."""

    def streamed(self, text: str) -> None:
        """A piece of an answer, for watchers; never logged."""

    async def called(self, body: Mapping[str, Any], recording: bytes | None) -> None:
        """One call, as the log's `llm.called` says it; `recording` is the answer, if there was one. Raises nothing."""


class Models(Protocol):
    """Where workers get a model for an activation from."""

    def of_run(self, caller: Caller, hearer: Hearer) -> LanguageModel:
        """A model for one activation."""
