"""Character error rate: how many edits lead from what was read to what is written, per written character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bare(text: str) -> str:
    """The text without any space and in capitals: engines and annotators disagree on both."""
    return "".join(text.split()).upper()


def distance(a: str, b: str) -> int:
    """Levenshtein's edit distance (insert, delete, replace: 1 each), row by row in numpy."""
    if not a or not b:
        return max(len(a), len(b))
    left, right = _codes(a), _codes(b)
    steps = np.arange(len(right) + 1)
    row = steps
    for index, code in enumerate(left, start=1):
        best = np.minimum(row[1:] + 1, row[:-1] + (right != code))
        row = np.concatenate([[index], best])
        # An insertion continues along the row: a running minimum once the step itself is taken out.
        row = np.minimum.accumulate(row - steps) + steps
    return int(row[-1])


def error_rate(read: str, written: str) -> float:
    """Edits per written character, both compared bare. 0 is perfect; more than 1 is possible."""
    wanted = bare(written)
    return distance(bare(read), wanted) / len(wanted) if wanted else float(bool(bare(read)))


def word_f1(read: str, written: str) -> float:
    """F1 of the words, in capitals, each as often as it stands there; order does not matter."""
    a, b = _counts(read), _counts(written)
    common = sum(min(count, b.get(word, 0)) for word, count in a.items())
    total = sum(a.values()) + sum(b.values())
    return 2 * common / total if total else 1.0


def _counts(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.upper().split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
