"""Words and stems: the same whoever asks, in however many threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from snowballstemmer import stemmer

from knowledge_sources.words import content, stem, tokens

THREADS = 6
WORDS = [
    begin + middle + end
    for begin in ("contribut", "national", "generous", "relativ", "communicat", "hopeful")
    for middle in ("", "iz", "at", "al", "ment")
    for end in ("ing", "ed", "ion", "ions", "ational", "ness", "ly", "fulness")
]


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns so often that every word is interrupted by another."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    stem.cache_clear()
    yield
    sys.setswitchinterval(before)
    stem.cache_clear()


def test_stems_are_right_in_several_threads(quick_switches: None) -> None:
    alone = stemmer("english")
    right = {word: alone.stemWord(word) for word in WORDS}
    start = threading.Barrier(THREADS)

    def work(number: int) -> dict[str, str]:
        start.wait(timeout=10)
        turned = WORDS[number * 40 :] + WORDS[: number * 40]
        return {word: stem(word) for word in turned}

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(work, range(THREADS)))
    assert all(answer == right for answer in answers)
    assert {word: stem(word) for word in WORDS} == right


def test_words_are_tokens_with_their_places() -> None:
    text = "The Harbour's walls cost 1,250.50 in 2021."
    found = tokens(text)
    assert all(text[token.start : token.end] == token.text for token in found)
    assert [token.stem for token in content(found)] == ["harbour", "wall", "cost", "1,250.50", "2021"]
