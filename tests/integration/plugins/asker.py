"""A third party's source that asks a language model."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import BaseModel, Field

from blackboard import Each, LanguageModel, Level, Quoted, Task, Upload, knowledge_source
from blackboard.levels import Page

TASK = Task("asker", "Name the total.")
PAGES = tuple(Page(number=n, text=f"Page {n}. " * 300) for n in range(1, 4))


class Total(BaseModel):
    """What it asks for."""

    amount: float = Field(ge=0)


class Told(Level):
    """What it was told."""

    named_by = ("n",)
    n: int
    text: str


@knowledge_source(timeout=20, attempts=1)
async def asker(upload: Each[Upload], model: LanguageModel) -> AsyncIterator[Told]:
    """One question of each kind."""
    if upload.filename == "picture":
        from blackboard import Pdf, Picture

        found = await model.ask(Total, TASK, Picture(b"\x89PNG" * 2_000_000), Pdf(b"%PDF-"))
        yield Told(n=0, text=str(found.amount))
        return
    window = model.windows(PAGES)[0]
    found = await model.ask(Total, TASK, "Of this:", Quoted("Title", upload.filename or ""), document=window)
    yield Told(n=1, text=str(found.amount))
    yield Told(n=2, text="".join([piece async for piece in model.stream(TASK, document=PAGES)]))
    yield Told(n=3, text=str(await model.count(TASK)))
    yield Told(n=4, text=f"{len(model.windows(PAGES))} {len(model.windows(PAGES, reserve=model.window_tokens))}")
