"""Instructions from files. A source's settings hold its own, so that a changed prompt makes its results stale."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, computed_field, model_validator

from blackboard import SourceSettings, Task
from blackboard.errors import UsageError

FOLDER: Final = Path(__file__).with_name("prompts")
RULES: Final = "rules"
"""What stands at the head of every task but `reading`: how the document is to be taken."""
LONGEST: Final = 20_000


def load(name: str, folder: Path | None = None) -> Task:
    """The task `<name>.md`, from the folder, or where it holds no such file, from those that came with the program.

    Raises UsageError where there is no such file, or it is empty, too long or no text.
    """
    own = folder / f"{name}.md" if folder is not None else None
    place = own if own is not None and own.is_file() else FOLDER / f"{name}.md"
    try:
        text = place.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the prompt {name!r} cannot be read from {place}: {error}") from error
    if not text:
        raise UsageError(f"the prompt {name!r} is empty: {place}", hint="write it, or remove the file")
    if len(text) > LONGEST:
        raise UsageError(f"the prompt {name!r} has {len(text):,} characters, more than {LONGEST:,}: {place}")
    return Task(name, text)


def with_rules(name: str, folder: Path | None = None) -> Task:
    """The task, behind the rules that all of them share."""
    return Task(name, f"{load(RULES, folder).text}\n\n{load(name, folder).text}")


class Prompted(SourceSettings):
    """Settings of a source that asks a model. The digests of its prompts are part of them."""

    tasks: ClassVar[tuple[str, ...]] = ()
    """The files that a subclass asks with."""

    # Not the folder makes a difference to results, but what is in it: `versions`.
    prompts: Path | None = Field(default=None, exclude=True)
    """A folder whose `*.md` files stand for those of the same name that came with the program."""

    @model_validator(mode="after")
    def _loads(self) -> Prompted:
        try:
            _ = self._loaded
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self

    @cached_property
    def _loaded(self) -> dict[str, Task]:
        return {name: with_rules(name, self.prompts) for name in self.tasks}

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way to put a property among the fields
    @property
    def versions(self) -> tuple[str, ...]:
        """`name@digest` of every prompt."""
        return tuple(task.version for task in self._loaded.values())

    def task(self, name: str) -> Task:
        """One of the tasks it declares."""
        return self._loaded[name]
