"""How well a claim is judged by given evidence: supported or not, over claims from several public collections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measures.row import Row
from knowledge_sources.checks.judge import judge

FILES = ("claims.jsonl", "claims_large.jsonl")
EVEN = 0.5
"""The score from which a forced choice says supported; the sources themselves abstain long before."""


def measure(corpus: Path) -> list[Row]:
    """Macro-F1 of a forced choice, and its accuracy on the half of the claims it is surest of."""
    claims = load(corpus)
    scores = [judge(claim["claim"], claim["evidence"]).score for claim in claims]
    truth = [claim["label2"] == "SUPPORTED" for claim in claims]
    guess = [score >= EVEN for score in scores]
    sure = sorted(range(len(scores)), key=lambda i: -abs(scores[i] - EVEN))[: len(scores) // 2]
    surest = sum(guess[i] == truth[i] for i in sure) / len(sure) if sure else 0.0
    rows = [
        Row(
            "fact check, macro-F1",
            "fact_macro_f1",
            macro_f1(guess, truth),
            len(claims),
            "rules .66, NLI models .75-.80",
            0.66,
        ),
        Row("fact check, accuracy of surest half", None, surest, len(sure), "rules .78", 0.78),
    ]
    return rows + _by_source(claims, guess, truth)


def load(corpus: Path) -> list[dict[str, Any]]:
    """All claims; none where the files are missing."""
    paths = [corpus / name for name in FILES]
    return [
        json.loads(line) for path in paths if path.is_file() for line in path.read_text().splitlines() if line.strip()
    ]


def macro_f1(guess: Sequence[bool], truth: Sequence[bool]) -> float:
    """The mean of the F1 of both classes, 0 for no cases."""
    return (_f1(guess, truth, True) + _f1(guess, truth, False)) / 2


def _f1(guess: Sequence[bool], truth: Sequence[bool], label: bool) -> float:
    hits = sum(g == t == label for g, t in zip(guess, truth, strict=True))
    said = sum(g == label for g in guess) + sum(t == label for t in truth)
    return 2 * hits / said if said else 0.0


def _by_source(claims: Sequence[dict[str, Any]], guess: Sequence[bool], truth: Sequence[bool]) -> list[Row]:
    rows = []
    for source in sorted({str(claim.get("source", "")) for claim in claims}):
        at = [i for i, claim in enumerate(claims) if claim.get("source", "") == source]
        value = macro_f1([guess[i] for i in at], [truth[i] for i in at])
        rows.append(Row(f"fact check, {source.rpartition('/')[2]}", None, value, len(at), ""))
    return rows
