"""Two reading engines, each on every scan of a folder, and what a policy makes of the pair.

    python benchmarks/engines.py --corpus DIR [--sample N] [--worn] [--unseen] [--floor .85 .9 .95] [--second .05]
    python benchmarks/engines.py --corpus DIR --live [--sample N] ...

Every page is read once by each engine in this process, on one core; processor seconds and character errors are then put
together as each policy would have it. `--worn`: each page also half as large, blurred, faint, upside down... `--unseen`:
only pages that the engines' expectations were not fitted on. `--second` is what a second is worth, in expected share of
right characters. With `--live` the pages are submitted as boards to a service of its own, under the policy `market`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from itertools import pairwise
from pathlib import Path
from statistics import mean
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.accuracy import one_core, place
from benchmarks.measures.edits import error_rate
from benchmarks.scans import STATES, Scan, scans, spread, worn
from blackboard import Bid, Document, Layer, Reading
from knowledge_sources.ocr import as_reading
from knowledge_sources.ocr_bids import fast_bid, thorough_bid
from knowledge_sources.ocr_engine import OcrEngine
from knowledge_sources.ocr_pace import PACES, PaceName
from knowledge_sources.pages import choose

OFFERS: dict[PaceName, Callable[[Layer, Sequence[Document]], Bid]] = {"fast": fast_bid, "thorough": thorough_bid}
BINS = (0.0, 0.7, 0.85, 0.9, 0.95, 1.01)


@dataclass(frozen=True)
class Look:
    """One engine on one page: what it bid, what it read, the share of wrong characters and the seconds it took."""

    bid: Bid
    reading: Reading
    error: float
    seconds: float


@dataclass(frozen=True)
class Both:
    """Both engines on one page."""

    name: str
    state: str
    truth: str
    fast: Look
    thorough: Look

    @property
    def error(self) -> float:
        """The share of wrong characters of the page chosen from both readings."""
        layer = Layer(page=1, text="", quality=0.0, needs_ocr=True)
        return error_of(choose(layer, (self.fast.reading, self.thorough.reading)).text, self.truth)


Award = tuple[PaceName, ...]
"""The engines that read a page, in turn."""


@dataclass(frozen=True)
class Outcome:
    """What a policy came to over all pages. `errors` is the mean share of wrong characters, `seconds` a page's mean."""

    policy: str
    fast: int
    thorough: int
    both: int
    seconds: float
    errors: float


def look(scan: Scan, state: str, engines: dict[PaceName, OcrEngine]) -> Both:
    """Read one scan with both engines."""
    image = worn(scan.image(), state)
    height, width = image.shape[:2]
    layer = Layer(page=1, text="", quality=0.0, needs_ocr=True, width=width, height=height)
    document = Document(sha256="", kind="image", media_type="image/png", pages=1)
    looks: dict[PaceName, Look] = {}
    for pace, offer in OFFERS.items():
        began = process_time()
        result = engines[pace].read(image)
        seconds = process_time() - began
        answer = {field.name: getattr(result, field.name) for field in fields_of(result)}
        reading = as_reading(answer, 1, pace)
        looks[pace] = Look(offer(layer, (document,)), reading, error_of(reading.text, scan.truth), seconds)
    return Both(scan.name, state, scan.truth, looks["fast"], looks["thorough"])


def error_of(text: str, truth: str) -> float:
    """The share of wrong characters, at most 1."""
    return min(1.0, error_rate(text, truth))


def compose(policy: str, pages: Sequence[Both], award: Callable[[Both], Award]) -> Outcome:
    """What the pages come to when each is read by the engines that `award` names for it."""
    awards = [award(page) for page in pages]
    seconds, errors = [], []
    for page, given in zip(pages, awards, strict=True):
        looks = {"fast": page.fast, "thorough": page.thorough}
        seconds.append(sum(looks[pace].seconds for pace in given))
        errors.append(page.error if len(given) > 1 else looks[given[0]].error)
    alone = [given[0] for given in awards if len(given) == 1]
    fast = alone.count("fast")
    return Outcome(policy, fast, len(alone) - fast, len(awards) - len(alone), mean(seconds), mean(errors))


def escalated(first: PaceName, page: Both, floor: float) -> Award:
    """The first, and below the floor the other."""
    second: PaceName = "thorough" if first == "fast" else "fast"
    look = page.fast if first == "fast" else page.thorough
    return (first,) if look.reading.confidence >= floor else (first, second)


def best_bid(page: Both, second: float) -> PaceName:
    """Whose bid is worth more, where a second is worth so much of expected value."""
    worth = {pace: look.bid.value - second * look.bid.latency_s for pace, look in _looks(page)}
    return max(worth, key=lambda pace: worth[pace])


def _looks(page: Both) -> Iterator[tuple[PaceName, Look]]:
    yield "fast", page.fast
    yield "thorough", page.thorough


def known_best(page: Both, second: float) -> Award:
    """The engine that turned out to be worth more, as bids are weighed."""
    worth = {pace: 1 - look.error - second * look.seconds for pace, look in _looks(page)}
    return (max(worth, key=lambda pace: worth[pace]),)


def outcomes(pages: Sequence[Both], floors: Sequence[float], second: float) -> list[Outcome]:
    """Every policy: one engine alone, both, the fast one first, by bids, and by who knows the result beforehand."""
    found = [
        compose("always thorough", pages, lambda page: ("thorough",)),
        compose("always fast", pages, lambda page: ("fast",)),
        compose("both, the surer reading", pages, lambda page: ("fast", "thorough")),
    ]
    for floor in floors:
        found.append(compose(f"fast first, floor {floor:g}", pages, lambda p, f=floor: escalated("fast", p, f)))  # type: ignore[misc]
    for floor in (0.0, *floors):
        name = f"market, floor {floor:g}" if floor else "market, no floor"
        found.append(
            compose(name, pages, lambda p, f=floor: escalated(best_bid(p, second), p, f))  # type: ignore[misc]
        )
    return [*found, compose("known beforehand", pages, lambda page: known_best(page, second))]


def table(found: Sequence[Outcome]) -> str:
    """One line a policy, compared with the first."""
    base = found[0]
    head = ("policy", "fast", "thorough", "both", "s/page", "saved", "errors", "lost")
    rows: list[tuple[str, ...]] = [head]
    for item in found:
        saved = 1 - item.seconds / base.seconds if base.seconds else 0.0
        rows.append(
            (item.policy, str(item.fast), str(item.thorough), str(item.both), f"{item.seconds:.2f}", f"{saved:+.0%}",
             f"{item.errors:.4f}", f"{item.errors - base.errors:+.4f}")
        )  # fmt: skip
    return aligned(rows)


def trust_table(pages: Sequence[Both]) -> str:
    """Whether a reading's confidence is the share of characters that are right: by bins of what was said."""
    rows: list[tuple[str, ...]] = [("engine", "said", "pages", "said, mean", "right, mean", "right, least")]
    for pace in PACES:
        looks = [page.fast if pace == "fast" else page.thorough for page in pages]
        for low, high in pairwise(BINS):
            inside = [look for look in looks if low <= look.reading.confidence < high]
            if inside:
                said, right = mean(look.reading.confidence for look in inside), [1 - look.error for look in inside]
                rows.append((PACES[pace].engine, f"{low:.2f}-{min(high, 1.0):.2f}", str(len(inside)), f"{said:.3f}",
                             f"{mean(right):.3f}", f"{min(right):.3f}"))  # fmt: skip
    return aligned(rows)


def bid_table(pages: Sequence[Both]) -> str:
    """How far the bids were off."""
    rows: list[tuple[str, ...]] = [("engine", "value bid", "right", "mean off", "seconds bid", "taken", "mean off")]
    for pace in PACES:
        looks = [page.fast if pace == "fast" else page.thorough for page in pages]
        value, right = [look.bid.value for look in looks], [1 - look.error for look in looks]
        offered, taken = [look.bid.latency_s for look in looks], [look.seconds for look in looks]
        rows.append(
            (PACES[pace].engine, f"{mean(value):.3f}", f"{mean(right):.3f}", f"{_off(value, right):.3f}",
             f"{mean(offered):.2f}", f"{mean(taken):.2f}", f"{_off(offered, taken):.2f}")
        )  # fmt: skip
    return aligned(rows)


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as text in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _off(said: Sequence[float], found: Sequence[float]) -> float:
    return mean(abs(a - b) for a, b in zip(said, found, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 2 when there is nothing to measure or the service does not know the policy."""
    options = _options(arguments)
    wanted = [scan for scan in scans(options.corpus) if scan.unseen or not options.unseen]
    chosen = list(spread(wanted, options.sample))
    if not chosen:
        print(f"{options.corpus} holds no scans whose text is known", file=sys.stderr)
        return 2
    states = STATES if options.worn else STATES[:1]
    if options.live:
        from benchmarks.engines_live import run_live

        return run_live(chosen, states, floor=options.floor[0], second=options.second)
    one_core()
    engines = {name: OcrEngine(1, pace) for name, pace in PACES.items()}
    pages = [look(scan, state, engines) for scan in chosen for state in states]
    print(place())
    print(f"{len(pages)} pages: {len(chosen)} scans, {len(states)} states each; a second is worth {options.second:g}\n")
    for part in (table(outcomes(pages, options.floor, options.second)), trust_table(pages), bid_table(pages)):
        print(part, end="\n\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with manifest.json and the files it lists")
    parser.add_argument("--sample", type=int, default=0, help="so many scans, evenly over the corpus; 0: all")
    parser.add_argument("--worn", action="store_true", help="each scan also made worse in six ways")
    parser.add_argument("--unseen", action="store_true", help="only scans that nothing was fitted on")
    parser.add_argument("--floor", type=float, nargs="+", default=[0.85, 0.9, 0.95], help="confidence that must be had")
    parser.add_argument("--second", type=float, default=0.05, help="what a second is worth, in expected value")
    parser.add_argument("--live", action="store_true", help="on real boards, under the first floor")
    options = parser.parse_args(arguments)
    if not options.corpus.is_dir():
        parser.error(f"{options.corpus} is not a folder")
    return options


if __name__ == "__main__":
    sys.exit(main())
