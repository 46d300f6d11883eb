"""The measures of the accuracy benchmark: they must not flatter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import accuracy
from benchmarks.measures.edits import distance, error_rate, word_f1
from benchmarks.measures.reading import Readings
from benchmarks.measures.row import Row

words = st.text(alphabet="abc ", max_size=12)


def plain_distance(a: str, b: str) -> int:
    """Levenshtein's recurrence as it is written in the books."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (left != right))
    return row[len(b)]


@given(words, words)
def test_the_distance_is_levenshteins(a: str, b: str) -> None:
    assert distance(a, b) == plain_distance(a, b)


def test_error_rate_ignores_spaces_and_case_only() -> None:
    assert error_rate("total  5.50", "TOTAL 5.50") == 0.0
    assert error_rate("TOTAL 5,50", "TOTAL 5.50") == pytest.approx(1 / 9)
    assert error_rate("", "TOTAL") == 1.0
    assert error_rate("", "") == 0.0


def test_word_f1_counts_each_word_as_often_as_it_stands() -> None:
    assert word_f1("a a b", "A b b") == pytest.approx(2 / 3)
    assert word_f1("", "") == 1.0


def test_a_figure_that_rests_on_nothing_is_not_ok() -> None:
    assert not Row("m", None, 0.0, 0, "r", at_most=1.0).ok
    assert Row("m", None, 1.0, 3, "r", at_least=0.5, at_most=1.0).ok
    assert not Row("m", None, 0.4, 3, "r", at_least=0.5).ok


def test_a_folder_without_documents_gives_every_key_and_no_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pinning would slow down every test after this one.
    monkeypatch.setattr(accuracy, "one_core", lambda: None)
    figures = tmp_path / "figures.json"
    assert accuracy.main(["--corpus", str(tmp_path), "--json", str(figures), "--only", "ocr"]) == 0
    assert json.loads(figures.read_bytes()) == dict.fromkeys(accuracy.KEYS)
    assert "receipts, character errors (median)" in capsys.readouterr().out


def test_what_was_read_is_kept_by_content_and_code(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The ferry leaves Harwich on Tuesday at nine in the morning.\n")
    kept = tmp_path / "kept"
    first = Readings(kept).of(note)
    assert "Harwich" in first.text and first.origin == "layer"
    assert Readings(kept).of(note) == first
    assert len(list(kept.iterdir())) == 1
    note.write_text("The ferry leaves Dover on Tuesday at nine in the morning.\n")
    assert "Dover" in Readings(kept).of(note).text
    assert len(list(kept.iterdir())) == 2
