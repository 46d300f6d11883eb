"""What an author of a knowledge source imports: one screen of words.

    @knowledge_source(version="1", cost="free", timeout=10)
    async def dates(page: Each[Page]) -> AsyncIterator[DateMention]:
        for hit in DATE.findall(page.text):
            yield DateMention(iso=hit, page=page.number)

A parameter's type says what it waits for: `Each[X]` one entry, `Group[X | Y, Literal["page"]]` the entries that share a
field, `All[X]` every entry of a settled level, `Lookup[X]` entries read freely while running. `Blobs`, `Boards`, `Progress`
and subclasses of `SourceSettings` are handed in; so is any other type the worker knows. The return type says what is
contributed: X, `X | None`, `list[X]` or `AsyncIterator[X]`, X a Level, a union of Levels, or `Contribution[X]`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, overload

from pydantic_settings import BaseSettings

from blackboard.levels import Child, Level
from blackboard.models import LanguageModel

T = TypeVar("T")
Read = TypeVar("Read", covariant=True)
L = TypeVar("L", bound=Level)
By = TypeVar("By", bound=str)

Kind = Literal["each", "group", "all", "lookup"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The marker inside `Each[X]` and `All[X]`; read when the source is defined."""

    kind: Kind


Each = Annotated[T, Wanted("each")]
"""One entry of a level: the source runs once for each."""
All = Annotated[tuple[T, ...], Wanted("all")]
"""Every entry of a level, in key order, once nothing can change it any more (empty levels too)."""


class Group(Sequence[T], Generic[T, By]):
    """The entries of one or more levels that share a field's value; the source runs once for each value.

    `Group[Layer | Reading, Literal["page"]]`: `group.value` is the shared value, `group.of(Layer)` one kind of entry.
    """

    def __init__(self, value: Any, items: Iterable[T]) -> None:
        self.value = value
        self._items = tuple(items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def of(self, kind: type[L]) -> tuple[L, ...]:
        """The entries of one level."""
        return tuple(item for item in self._items if isinstance(item, kind))


class Lookup(Protocol[Read]):
    """Entries of a level, read while running. What was read is recorded: when it changes, the source runs again."""

    async def get(self, name: str) -> Read | None:
        """One entry's value, or None."""

    def all(self) -> AsyncIterator[Read]:
        """Every entry there is now, in key order."""


class Progress(Protocol):
    """Tell watchers how far this activation is. Never logged."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """`done` of `total`, in whatever unit the source counts."""


class Spending(Protocol):
    """Say what this activation has cost. The board's budget is kept from it, and its report names the sum."""

    def __call__(self, usd: float = 0.0, tokens: int = 0) -> None:
        """So much more. Raises ValueError for less than nothing."""


class Blobs(Protocol):
    """Bytes by SHA-256."""

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises PermanentFailure when they are gone."""


class Boards(Protocol):
    """Boards of their own for parts of a document: a mail's attachments, an archive's members.

    A source that asks for it returns `Child`, and yields what `open` gives it:

        yield await boards.open(data, filename="offer.pdf")
    """

    async def open(
        self,
        data: bytes,
        *,
        filename: str | None = None,
        declared_type: str | None = None,
        goal: Sequence[str] = (),
        sources: Sequence[str] = (),
        name: str | None = None,
    ) -> Child:
        """The child board for these bytes: the same one however often the source runs on the same.

        `name`: what it is called on this board, by default after its file. `goal`, `sources`: as for a submission, by
        default this board's own. Raises PermanentFailure over a limit (depth, number), and for a document that holds itself.
        """


class SourceSettings(BaseSettings):
    """Settings of one source, read from `BLACKBOARD_SOURCE_<NAME>__<FIELD>`."""


@dataclass(frozen=True, slots=True)
class Contribution(Generic[T]):
    """A value with a confidence (0..1) or a name of your choosing."""

    value: T
    confidence: float = 1.0
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Bid:
    """What a source offers for one binding: the expected value of its contribution (0..1), its cost and its latency."""

    value: float
    cost_usd: float = 0.0
    latency_s: float = 0.0


Origin = Literal["built-in", "installed", "file", "remote"]


@dataclass(frozen=True, slots=True)
class Input:
    """One declared input: the parameter it is handed in as, and what it waits for."""

    parameter: str
    kind: Kind
    levels: tuple[type[Level], ...]
    by: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A knowledge source as declared. Times in seconds."""

    name: str
    version: str
    function: Callable[..., Any]
    inputs: tuple[Input, ...]
    outputs: tuple[type[Level], ...]
    injected: Mapping[str, Any] = field(default_factory=dict)
    """Parameter -> type of what the worker hands in."""
    cost: str = "free"
    timeout: float = 60.0
    """In all."""
    idle_timeout: float | None = None
    """Without progress and without a contribution; None: `timeout` alone counts."""
    required: bool = False
    default: bool = True
    """Whether it works on boards that do not ask for it; set to False on a rival that would only double the work."""
    when: Callable[..., bool] | None = None
    bid: Callable[..., Bid] | None = None
    """Asked as `when` is, where sources compete for an output."""
    carries: Mapping[str, str] = field(default_factory=dict)
    """Field of the outputs -> field of the Each or Group input it is copied from."""
    revises: tuple[type[Level], ...] = ()
    max_rounds: int | None = None
    """Set on a loop source: how often it may run before its rounds are spent."""
    priority: int = 0
    concurrency: int = 64
    """Activations of one board released to the queue at a time."""
    attempts: int = 4
    configuration: str = ""
    """Digest of its settings."""
    origin: Origin = "installed"
    where: str = ""
    """The entry point, file or address it was found at."""
    trusted: bool = True
    """Whether it runs in the worker itself; what is not runs in a limited subprocess."""

    @property
    def is_loop(self) -> bool:
        """Whether it closes a loop (declares max_rounds)."""
        return self.max_rounds is not None

    @property
    def asks_model(self) -> bool:
        """Whether it is handed a language model: what it reads may leave this machine."""
        return LanguageModel in self.injected.values()

    @property
    def binding_input(self) -> Input | None:
        """The Each or Group input, or None when it works on the board as a whole."""
        return next((given for given in self.inputs if given.kind in ("each", "group")), None)
