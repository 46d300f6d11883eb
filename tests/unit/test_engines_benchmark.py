"""The benchmark of the two engines: what it puts together must be what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import engines
from benchmarks.engines import Both, Look, best_bid, compose, escalated, known_best, outcomes, table
from benchmarks.engines_live import Ended, Refused, summed
from benchmarks.scans import STATES, Scan, spread, worn
from blackboard import Bid, Reading

TRUTH = "Survey of the quay wall"


def look(pace: str, text: str, confidence: float, seconds: float, bid: Bid) -> Look:
    reading = Reading(page=1, engine=pace, text=text, confidence=confidence)
    return Look(bid, reading, engines.error_of(text, TRUTH), seconds)


def page(fast: str, confidence: float, *, thorough: str = TRUTH, value: float = 0.95) -> Both:
    slow = look("rapidocr", thorough, 0.97, 1.0, Bid(0.97, latency_s=1.0))
    return Both("a", "as it is", TRUTH, look("rapidocr-fast", fast, confidence, 0.4, Bid(value, latency_s=0.4)), slow)


GOOD = page(TRUTH, 0.96)
POOR = page("Srvy o th qy wll", 0.7)
PAGES = [GOOD, GOOD, GOOD, POOR]


def test_below_the_floor_both_are_paid_for_and_the_surer_is_taken() -> None:
    found = compose("p", PAGES, lambda one: escalated("fast", one, 0.9))
    assert (found.fast, found.thorough, found.both) == (3, 0, 1)
    assert found.seconds == pytest.approx((3 * 0.4 + 1.4) / 4)
    assert found.errors == 0.0


def test_one_engine_alone() -> None:
    fast = compose("p", PAGES, lambda one: ("fast",))
    assert (fast.fast, fast.thorough, fast.both) == (4, 0, 0)
    assert fast.seconds == pytest.approx(0.4)
    assert fast.errors == pytest.approx(POOR.fast.error / 4) and POOR.fast.error > 0.2


def test_the_price_of_a_second_decides_who_is_awarded() -> None:
    assert best_bid(GOOD, 0.0) == "thorough"
    assert best_bid(GOOD, 0.05) == "fast"
    assert best_bid(page(TRUTH, 0.9, value=0.7), 0.05) == "thorough"


def test_knowing_beforehand_weighs_time_and_errors_alike() -> None:
    assert (known_best(GOOD, 0.05), known_best(POOR, 0.05)) == (("fast",), ("thorough",))
    assert known_best(POOR, 100.0) == ("fast",)


def test_the_table_compares_with_the_thorough_one() -> None:
    found = outcomes(PAGES, [0.9], 0.05)
    lines = table(found).splitlines()
    assert len(lines) == len(found) + 1
    assert lines[1].split() == ["always", "thorough", "0", "4", "0", "1.00", "+0%", "0.0000", "+0.0000"]
    assert lines[2].split()[:6] == ["always", "fast", "4", "0", "0", "0.40"]
    assert "+60%" in lines[2]


def test_boards_are_summed_as_pages_are() -> None:
    boards = [Ended(("fast",), 0.5, 0.0), Ended(("thorough", "fast"), 1.5, 0.2), Ended(("thorough",), 1.0, 0.1)]
    found = summed("market", boards)
    assert (found.fast, found.thorough, found.both) == (1, 1, 1)
    assert found.seconds == pytest.approx(1.0)
    assert found.errors == pytest.approx(0.1)


def test_wear_is_the_same_each_time_and_leaves_the_original() -> None:
    image = np.random.default_rng(1).integers(0, 255, (1280, 960, 3), dtype=np.uint8)
    before = image.copy()
    for state in STATES:
        assert np.array_equal(worn(image, state), worn(image, state))
        assert (state == STATES[0]) == np.array_equal(worn(image, state), image)
    assert np.array_equal(image, before)
    assert worn(image, "half size").shape == (640, 480, 3)
    assert np.array_equal(worn(worn(image, "upside down"), "upside down"), image)


def test_a_sample_is_spread_over_the_corpus() -> None:
    found = [Scan(str(n), Path(), "image", "", unseen=True) for n in range(10)]
    assert [scan.name for scan in spread(found, 3)] == ["0", "3", "6"]
    assert list(spread(found, 0)) == list(spread(found, 99)) == found


def test_a_folder_without_scans_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engines.main(["--corpus", str(tmp_path)]) == 2
    assert "no scans whose text is known" in capsys.readouterr().err


def test_live_says_what_the_service_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (60, 40), "white").save(tmp_path / "a.png")
    item = {"id": "a", "file": "a.png", "kind": "page-image", "truth": {"text": "a"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"items": [item]}))

    async def refusing(*_: object) -> None:
        raise Refused("/strategy: Extra inputs are not permitted")

    monkeypatch.setattr("benchmarks.engines_live._run", refusing)
    assert engines.main(["--corpus", str(tmp_path), "--live", "--floor", "0.9"]) == 2
    said = capsys.readouterr().err
    assert '"floor":{"reading":0.9}' in said and "/strategy: Extra inputs are not permitted" in said
