"""How many errors in invoices and contracts are caught: twenty documents with one each, twenty without.

    python benchmarks/facts.py [--seed N] [--text-only] [--save DIR] [--json FILE]

The documents are made for the run, in several layouts, languages and currencies; a quarter of them are scans and go
through OCR. Each runs through the project's own engines: pages, mentions, claims, passages, checks. An error counts as
caught when a refuted verdict of its kind (total, date, party) quotes evidence; a clean document counts as flagged when
anything in it is refuted. Exits with 1 when fewer than 18 of 20 are caught or more than 1 of 20 is flagged.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.documents.cases import Case, cases
from benchmarks.measures.reading import Readings
from blackboard.levels import Page, Verdict
from knowledge_sources.checks.evidence import Evidence
from knowledge_sources.checks.figures import check_figures
from knowledge_sources.claims import find_claims
from knowledge_sources.facts import check_claims, check_summary
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.passages import gather
from knowledge_sources.summary import summarize

CAUGHT_AT_LEAST, FLAGGED_AT_MOST = 0.9, 0.05
CHECKS = {
    "total": {"sum", "tax", "total", "line_item", "balance", "cross_page", "in_words", "number_differs"},
    "date": {"date_order", "impossible_date", "weekday", "term", "net_days", "cross_page", "number_differs"},
    "party": {"party_name"},
}
SUBJECTS = {
    "total": ("total", "sum", "tax", "line", "balance", "amount", "words", "claim"),
    "date": ("date", "claim"),
    "party": ("party",),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one document."""

    case: Case
    refuted: tuple[Verdict, ...]

    @property
    def caught(self) -> bool:
        """Whether a refuted verdict speaks of what is wrong."""
        kind = self.case.category or ""
        return any(
            v.check in CHECKS[kind] and v.about.split("-")[0] in SUBJECTS[kind] and v.evidence for v in self.refuted
        )


def analyse(pages: Sequence[Page]) -> list[Verdict]:
    """Every verdict that the built-in sources give on these pages."""
    mentions = [find_mentions(page) for page in pages]
    evidence = Evidence(gather(pages).sentences)
    verdicts = check_figures(pages, mentions)
    for page in pages:
        verdicts.extend(check_claims(find_claims(page), evidence))
    verdicts.extend(check_summary(sentence, evidence) for sentence in summarize(pages))
    return verdicts


def run(seed: int, scans: bool, save: Path | None) -> list[Result]:
    """Make, read and check all documents."""
    readings = Readings()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(seed, scans=scans):
            path = (save or Path(folder)) / f"{case.name}.pdf"
            path.write_bytes(case.data)
            verdicts = analyse(readings.pages(path))
            results.append(Result(case, tuple(v for v in verdicts if v.label == "refuted")))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every document's outcome and the two counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text-only", action="store_true", help="no scans: quicker, and independent of OCR")
    parser.add_argument("--save", type=Path, help="keep the documents in this folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    results = run(options.seed, not options.text_only, options.save)
    wrong = [r for r in results if r.case.error]
    clean = [r for r in results if not r.case.error]
    for result in (*wrong, *clean):
        state = (
            ("caught" if result.caught else "MISSED")
            if result.case.error
            else ("FLAGGED" if result.refuted else "clean")
        )
        said = "; ".join(f"{v.check}: {v.reason}" for v in result.refuted[:3])
        print(f"{state:8} {result.case.name:36} {said}")
    caught, flagged = sum(r.caught for r in wrong), sum(bool(r.refuted) for r in clean)
    print(
        f"caught {caught} of {len(wrong)}, flagged {flagged} of {len(clean)} clean, {time.perf_counter() - start:.0f} s"
    )
    if options.json:
        counts = {"caught": caught, "wrong": len(wrong), "flagged": flagged, "clean": len(clean), "seed": options.seed}
        options.json.write_text(json.dumps(counts, indent=2) + "\n")
    return int(caught < CAUGHT_AT_LEAST * len(wrong) or flagged > FLAGGED_AT_MOST * len(clean))


if __name__ == "__main__":
    sys.exit(main())
