"""Sources for simulated boards: random ones, and the flow of document analysis with made-up contents.

Contents are digests of what was read, so that two boards agree only where their sources read the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from random import Random
from typing import Any

from blackboard.contract import Contribution, Input, Source
from blackboard.levels import Level


class Item(Level):
    """What simulated sources read and write."""

    page: int
    text: str


def _level(number: int) -> type[Item]:
    return type(f"L{number}", (Item,), {"__module__": __name__, "level": f"l{number}"})


LEVELS: tuple[type[Item], ...] = tuple(_level(number) for number in range(8))
"""The first is what people submit."""


def digest(*parts: object) -> str:
    """A short digest of anything printable."""
    return blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def texts(given: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a source was given, as plain values."""
    shown: list[tuple[str, Any]] = []
    for name, value in sorted(given.items()):
        items: Iterable[Item]
        if isinstance(value, Item):
            items = [value]
        else:
            items = value.all() if hasattr(value, "all") else value
        shown.append((name, [(item.level, item.page, item.text) for item in items]))
    return shown


def binding_of(source: str, inputs: Sequence[Input], given: dict[str, Any]) -> tuple[str, int | None]:
    """A word that tells bindings apart, and the page it is about (None: of no page)."""
    for wanted in inputs:
        value = given[wanted.parameter]
        if wanted.kind == "each":
            return f"{source}.{value.text.split(':')[0]}", value.page
        if wanted.kind == "group":
            return f"{source}.{value.value}", int(value.value)
    return source, None


def writer(
    name: str, inputs: Sequence[Input], outputs: Sequence[type[Item]], version: str, most: int, keep_page: bool
) -> Callable[..., list[Contribution[Item]]]:
    """A function that writes up to `most` entries of each output, as many and with such texts as what it read tells.

    An entry's text begins with its name and a colon, so that names do not depend on what is read above.
    """

    def run(**given: Any) -> list[Contribution[Item]]:
        read = texts(given)
        base, page = binding_of(name, inputs, given)
        made = []
        for kind in outputs:
            count = int(digest(read, kind.level, version), 16) % (most + 1)
            for number in range(count):
                entry = f"{base}.{number}"
                about = page if keep_page and page is not None else 1 + int(digest(read, number), 16) % 3
                text = f"{entry}:{digest(read, number, version)}"
                made.append(Contribution(kind(page=about, text=text), name=entry))
        return made

    return run


def picky(name: str, mood: str) -> Callable[..., bool]:
    """A precondition that is false, or raises, for some inputs."""

    def when(**given: Any) -> bool:
        draw = int(digest(name, texts(given)), 16) % 5
        if mood == "raises" and draw == 0:
            raise ValueError("no such luck")
        return draw != 1

    return when


def random_sources(seed: int, *, loops: bool = False) -> list[Source]:
    """Between one and seven sources over the levels, acyclic but for loop sources."""
    rng = Random(seed)
    depth = rng.randint(2, 6)
    found: list[Source] = []
    for number in range(1, depth):
        found += [_random_source(rng, f"s{number}{who}", number) for who in "ab"[: rng.randint(1, 2)]]
    if loops:
        found += [_random_loop(rng, f"r{who}", depth) for who in "ab"[: rng.randint(1, 2)]]
    rng.shuffle(found)
    return found


def _random_source(rng: Random, name: str, number: int) -> Source:
    below = LEVELS[:number]
    pick = lambda most: tuple(rng.sample(below, rng.randint(1, min(most, len(below)))))  # noqa: E731
    inputs: list[Input] = []
    shape = rng.choice(("each", "group", "board"))
    if shape == "each":
        inputs.append(Input("one", "each", pick(1)))
    elif shape == "group":
        inputs.append(Input("group", "group", pick(2), "page"))
    if shape == "board" or rng.random() < 0.3:
        inputs.append(Input("rest", "all", pick(2)))
    if rng.random() < 0.15:
        inputs.append(Input("looks", "lookup", pick(1)))
    outputs = [LEVELS[number]]
    if rng.random() < 0.2 and number + 1 < len(LEVELS):
        outputs.append(LEVELS[number + 1])
    carries = shape != "board" and rng.random() < 0.6
    mood = rng.choice(("plain", "plain", "picky", "raises"))
    without_looks = tuple(given.parameter for given in inputs if given.kind != "lookup")
    version = str(rng.randint(1, 3))
    return Source(
        name,
        version,
        writer(name, inputs, outputs, version, rng.randint(1, 2), carries),
        tuple(inputs),
        tuple(outputs),
        when=picky(name, mood) if mood != "plain" and without_looks else None,
        carries={"page": "page"} if carries else {},
        concurrency=rng.choice((1, 2, 64)),
    )


def _random_loop(rng: Random, name: str, depth: int) -> Source:
    """A reviser: reads a high level, rewrites entries of a low one."""
    # Each its own level: two that rewrite the same text have a test of their own.
    low = min(depth - 1, 1 + "ab".index(name[-1]))
    high = rng.randint(low, depth - 1)
    revised = Input("texts", "all", (LEVELS[low],))
    judged = Input("judged", rng.choice(("all", "each")), (LEVELS[high],))  # type: ignore[arg-type]

    def revise(texts: Sequence[Item], judged: Any) -> list[Contribution[Item]]:
        made = []
        for item in texts[: 1 + int(digest(str(judged), name), 16) % 2]:
            entry = item.text.split(":")[0]
            text = f"{entry}:{digest(item.text, str(judged), name)}"
            made.append(Contribution(type(item)(page=item.page, text=text), name=entry))
        return made

    return Source(
        name, "1", revise, (revised, judged), (LEVELS[low],),
        revises=(LEVELS[low],), max_rounds=rng.randint(1, 3), when=picky(name, rng.choice(("picky", "raises"))),
    )  # fmt: skip


# -- documents ---------------------------------------------------------------------------------------------------------


def item(level: str) -> type[Item]:
    """A level of items."""
    return type(level.title(), (Item,), {"__module__": __name__, "level": level})


DOCUMENT = {
    name: item(name)
    for name in (
        "upload", "document", "layer", "reading", "page", "mentions", "entities", "claim", "passages", "summary",
        "verdict", "report",
    )
}  # fmt: skip


def upload(*pages: str) -> Item:
    """A document whose pages say this; those that begin with `scan` need reading."""
    return DOCUMENT["upload"](page=1, text="|".join(pages))


def document_flow(**changes: Any) -> list[Source]:
    """The sources of document analysis with made-up contents. `changes`: source -> fields to replace."""
    from dataclasses import replace

    def made(source: str, level: str, page: int, given: dict[str, Any], name: str = "") -> Contribution[Item]:
        text = f"{source}:{digest(source, texts(given))}"
        return Contribution(DOCUMENT[level](page=page, text=text), name=name or f"{page:04d}")

    def layers(document: Item) -> list[Contribution[Item]]:
        pages = enumerate(document.text.split("|"), 1)
        return [Contribution(DOCUMENT["layer"](page=n, text=text), name=f"{n:04d}") for n, text in pages]

    def copy(upload: Item) -> list[Contribution[Item]]:
        return [Contribution(DOCUMENT["document"](page=1, text=upload.text), name="document")]

    def per_page(source: str, level: str, by: str) -> Callable[..., list[Contribution[Item]]]:
        def run(**given: Any) -> list[Contribution[Item]]:
            one = given[by]
            page = one.page if isinstance(one, Item) else int(one.value)
            return [made(source, level, page, given, f"{source}.{page:04d}" if level == "verdict" else "")]

        return run

    def whole(source: str, level: str) -> Callable[..., list[Contribution[Item]]]:
        return lambda **given: [made(source, level, 1, given, source)]

    def wants(kind: str, *levels: str, by: str = "") -> Input:
        return Input("_".join(levels), kind, tuple(DOCUMENT[level] for level in levels), by)  # type: ignore[arg-type]

    def source(name: str, function: Any, inputs: Sequence[Input], output: str, **more: Any) -> Source:
        return Source(name, "1", function, tuple(inputs), (DOCUMENT[output],), **more)

    page = {"carries": {"page": "page"}}
    each = wants("each", "page")
    found = [
        source("intake", copy, [wants("each", "upload")], "document", required=True),
        source("layers", layers, [wants("each", "document")], "layer", required=True),
        source(
            "ocr", per_page("ocr", "reading", "layer"), [wants("each", "layer"), wants("all", "document")], "reading",
            when=lambda layer: layer.text.startswith("scan"), **page,
        ),
        source(
            "pages", per_page("pages", "page", "layer_reading"), [wants("group", "layer", "reading", by="page")], "page",
            **page,
        ),
        source("mentions", per_page("mentions", "mentions", "page"), [each], "mentions", **page),
        source("claims", per_page("claims", "claim", "page"), [each], "claim", **page),
        source("entities", whole("entities", "entities"), [wants("all", "mentions")], "entities"),
        source("passages", whole("passages", "passages"), [wants("all", "page")], "passages"),
        source("summary", whole("summary", "summary"), [wants("all", "page")], "summary"),
        source(
            "facts", per_page("facts", "verdict", "claim"), [wants("group", "claim", by="page"), wants("all", "passages")],
            "verdict", **page,
        ),
        source(
            "summary_facts", per_page("summary_facts", "verdict", "summary"),
            [wants("each", "summary"), wants("all", "passages")], "verdict",
        ),
        source("figures", whole("figures", "verdict"), [wants("all", "page"), wants("all", "mentions")], "verdict"),
        source(
            "report", whole("report", "report"),
            [wants("all", level) for level in ("document", "page", "entities", "summary", "claim", "verdict")], "report",
        ),
    ]  # fmt: skip
    return [replace(one, **changes.get(one.name, {})) for one in found]
