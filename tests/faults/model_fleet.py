"""Processes whose sources ask a model: `python -m tests.faults.model_fleet ROLE...`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from pydantic import BaseModel, Field

from blackboard import Each, LanguageModel, Level, Quoted, Task, Upload, knowledge_source
from tests.fleet import main

TASK = Task("totals", "Name the total.")


class Total(BaseModel):
    """What is asked for."""

    amount: float = Field(ge=0)


class Told(Level):
    """What was answered."""

    named_by = ("name",)
    name: str
    text: str


@knowledge_source(timeout=20)
async def total(upload: Each[Upload], model: LanguageModel) -> Told:
    """A typed question."""
    found = await model.ask(Total, TASK, Quoted("File", upload.filename or ""))
    return Told(name="total", text=str(found.amount))


@knowledge_source(timeout=20)
async def said(upload: Each[Upload], model: LanguageModel) -> Told:
    """A streamed one."""
    stream = model.stream(TASK, Quoted("File", upload.filename or ""), "In words.")
    return Told(name="said", text="".join([piece async for piece in stream]))


@knowledge_source(timeout=20)
async def deadly(upload: Each[Upload], model: LanguageModel) -> Told:
    """One whose process is killed when it has its answer, the first time."""
    found = await model.ask(Total, TASK, Quoted("File", upload.filename or ""))
    once = Path(os.environ["BLACKBOARD_TEST_ONCE"])
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Told(name="deadly", text=str(found.amount))


if __name__ == "__main__":
    asyncio.run(main(frozenset(sys.argv[1:]), [total, deadly]))
