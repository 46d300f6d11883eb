"""Language models of our own making, behind the port that sources see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from blackboard import Excerpt, LanguageModel, Level, ModelFailed, Page, Source, Task
from blackboard.models import Part
from controller.testing.memory import MemoryBoard

M = TypeVar("M", bound=BaseModel)
Given = Sequence[Page | Excerpt]


@dataclass(frozen=True)
class Asked:
    """One question as it reached the model."""

    task: Task
    parts: tuple[Part, ...]
    document: tuple[Page | Excerpt, ...]
    max_tokens: int
    answer: type[BaseModel] | None

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def said(self) -> str:
        """Everything in it that is said to be ours."""
        return "\n".join([self.task.text, *(part for part in self.parts if isinstance(part, str))])

    @property
    def pages(self) -> list[int]:
        return [part.number if isinstance(part, Page) else part.page for part in self.document]


Reply = Mapping[str, Any] | BaseModel | str | BaseException | list[Any]
Brain = Callable[[Asked], Reply]


class Brains(LanguageModel):
    """A model whose answers are made by a function of the question: a dict, or for a stream a text or its pieces.

    An error is raised; in a list of pieces, where it stands.
    """

    def __init__(self, brain: Brain, *, window: int = 10**9) -> None:
        self.brain = brain
        self.window = window
        self.asked: list[Asked] = []
        self.streams_open = 0

    async def ask(self, answer: type[M], task: Task, *parts: Part, document: Given = (), max_tokens: int = 4096) -> M:
        said = self._reply(Asked(task, parts, tuple(document), max_tokens, answer))
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, BaseModel):
            assert isinstance(said, answer)
            return said
        return answer.model_validate(said)

    async def stream(
        self, task: Task, *parts: Part, document: Given = (), max_tokens: int = 4096
    ) -> AsyncIterator[str]:
        said = self._reply(Asked(task, parts, tuple(document), max_tokens, None))
        if isinstance(said, BaseException):
            raise said
        self.streams_open += 1
        try:
            for piece in [said] if isinstance(said, str) else list(said):
                if isinstance(piece, BaseException):
                    raise piece
                yield str(piece)
        finally:
            self.streams_open -= 1

    async def count(self, task: Task, *parts: Part, document: Given = ()) -> int:
        texts = [task.text, *(part for part in parts if isinstance(part, str)), *(part.text for part in document)]
        return sum(map(len, texts)) // 3

    def windows(self, pages: Sequence[Page], *, reserve: int = 0) -> list[tuple[Excerpt, ...]]:
        """By characters, `window` at most in each."""
        found: list[tuple[Excerpt, ...]] = []
        held: list[Excerpt] = []
        room = self.window
        for page in pages:
            for start in range(0, max(1, len(page.text)), self.window):
                excerpt = Excerpt(page.number, page.text[start : start + self.window], start)
                if held and len(excerpt.text) > room:
                    found.append(tuple(held))
                    held, room = [], self.window
                held.append(excerpt)
                room -= len(excerpt.text)
        return [*found, tuple(held)] if held else found

    def _reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self.brain(asked)


def in_turn(*replies: Reply) -> Brain:
    """One reply after the other."""
    left = list(replies)
    return lambda _: left.pop(0)


def by_task(**replies: Reply) -> Brain:
    """A reply for each task."""
    return lambda asked: replies[asked.name]


def refusal(_: Asked) -> ModelFailed:
    """A model that will not."""
    return ModelFailed("the model refused")


async def on_board(
    model: Brains, *sources: Source, given: Sequence[Level], services: Mapping[Any, Any] | None = None
) -> MemoryBoard:
    """A board that began with these entries, after these sources have run; what they raise is found in `errors`."""
    board = MemoryBoard({LanguageModel: model, **(services or {})})
    await board.seed(*given)
    await board.run(*sources, raises=False)
    return board
