"""How near summaries come to those that people wrote: ROUGE, by domain, beside the document's opening of the same length."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measures.rouge import Rouge, rouge
from benchmarks.measures.row import Row
from blackboard.levels import Page
from knowledge_sources.summary import budget, count_words, summarize

FILES = ("summaries.jsonl", "summaries_large.jsonl")


def measure(corpus: Path) -> list[Row]:
    """ROUGE-1, -2 and -Lsum (0..100) over all texts, and ROUGE-1 for each domain, which the opening must not beat."""
    texts = load(corpus)
    ours = [score(summary_of(item["text"]), item["reference"]) for item in texts]
    lead = [score([opening(item["text"])], item["reference"]) for item in texts]
    n = len(texts)
    rows = [
        Row(
            "summary, ROUGE-1",
            "summary_rouge1",
            _mean(ours, "rouge1"),
            n,
            "lead 33.8, TextRank 33.3, oracle 54.7",
            34.0,
        ),
        Row("summary, ROUGE-2", None, _mean(ours, "rouge2"), n, "lead 13.3, TextRank 12.9"),
        Row("summary, ROUGE-Lsum", None, _mean(ours, "rouge_lsum"), n, "lead 30.6, TextRank 29.0"),
    ]
    domains: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(texts):
        domains[item["domain"]].append(i)
    for domain, at in sorted(domains.items()):
        floor = _mean([lead[i] for i in at], "rouge1")
        value = _mean([ours[i] for i in at], "rouge1")
        rows.append(Row(f"summary, ROUGE-1, {domain}", None, value, len(at), f"lead {floor:.1f}", floor))
    return rows


def load(corpus: Path) -> list[dict[str, Any]]:
    """All texts with their references; none where the files are missing."""
    paths = [corpus / name for name in FILES]
    return [
        json.loads(line) for path in paths if path.is_file() for line in path.read_text().splitlines() if line.strip()
    ]


def summary_of(text: str) -> list[str]:
    """The summary the source makes of a text that is one page."""
    return [sentence.text for sentence in summarize([Page(number=1, text=text)])]


def opening(text: str) -> str:
    """As many words of the text's beginning as a summary may have."""
    return " ".join(text.split()[: budget(count_words(text))])


def score(summary: Sequence[str], reference: str) -> Rouge:
    """ROUGE against a reference of one sentence a line."""
    return rouge(summary, reference.split("\n"))


def _mean(scores: Sequence[Rouge], name: str) -> float:
    return 100 * sum(getattr(one, name) for one in scores) / len(scores) if scores else 0.0
