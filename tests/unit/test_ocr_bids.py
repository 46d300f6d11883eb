"""What the reading engines bid, and what their scores are taken to mean."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard import Bid, Document, Layer
from controller.contests import checked_bid
from knowledge_sources.ocr import as_reading, ocr, ocr_fast
from knowledge_sources.ocr_bids import fast_bid, thorough_bid
from knowledge_sources.ocr_pace import FAST, PACES, THOROUGH, TRUST, PaceName, along

Offer = Callable[[Layer, Sequence[Document]], Bid]
OFFERS: tuple[Offer, Offer] = (fast_bid, thorough_bid)
sizes = st.none() | st.floats(allow_nan=True, allow_infinity=True)
paces = st.sampled_from(sorted(PACES))


def layer(width: float | None, height: float | None) -> Layer:
    return Layer(page=1, text="", quality=0.0, needs_ocr=True, width=width, height=height)


def document(kind: str = "image") -> tuple[Document, ...]:
    return (Document(sha256="d", kind=kind, media_type="image/png", pages=1),)


@given(sizes, sizes, st.sampled_from(["pdf", "image", "docx"]))
def test_a_bid_is_in_range_and_always_the_same(width: float | None, height: float | None, kind: str) -> None:
    for offer in OFFERS:
        bid = offer(layer(width, height), document(kind))
        assert 0 < bid.value < 1 and bid.cost_usd == 0
        assert 0 < bid.latency_s < 30 and math.isfinite(bid.latency_s)
        assert bid == offer(layer(width, height), document(kind)) == checked_bid(bid)


@given(st.floats(1, 20_000), st.floats(1, 20_000), st.sampled_from(["pdf", "image"]))
def test_the_fast_one_promises_less_and_sooner(width: float, height: float, kind: str) -> None:
    fast, thorough = (offer(layer(width, height), document(kind)) for offer in OFFERS)
    assert fast.value < thorough.value
    assert fast.latency_s < thorough.latency_s


def test_small_letters_cost_the_fast_one_more() -> None:
    losses = [
        thorough_bid(layer(side, 2 * side), document()).value - fast_bid(layer(side, 2 * side), document()).value
        for side in (900, 280, 200)
    ]
    assert losses == sorted(losses) and losses[0] < losses[-1]


def test_points_are_not_pixels() -> None:
    sheet = layer(595, 842)
    assert fast_bid(sheet, document("pdf")).latency_s > fast_bid(sheet, document("image")).latency_s


def test_a_page_of_unknown_size_is_taken_for_a_sheet() -> None:
    assert fast_bid(layer(None, None), ()) == fast_bid(layer(1240, 1754), document())


@given(paces, st.floats(0, 1), st.floats(0, 1), st.integers(0, 5000))
def test_a_surer_reading_is_never_trusted_less(pace: PaceName, one: float, other: float, letters: int) -> None:
    low, high = sorted((one, other))
    assert 0 <= PACES[pace].accuracy(low, letters) <= PACES[pace].accuracy(high, letters) <= 1


def test_scores_are_not_taken_at_their_word() -> None:
    for pace in PACES.values():
        assert pace.accuracy(0.9, 400) == pytest.approx(0.82)
        assert pace.accuracy(1.0, 400) == 1.0
        assert pace.accuracy(0.0, 0) == 0.0


def test_the_fast_one_trusts_a_nearly_empty_page_less() -> None:
    assert FAST.accuracy(0.995, 5) < 0.3
    assert THOROUGH.accuracy(0.995, 5) > 0.98


def test_curves_rise() -> None:
    for curve in (TRUST, *(pace.by_size for pace in PACES.values())):
        assert all(x0 < x1 and y0 <= y1 for (x0, y0), (x1, y1) in pairwise(curve))


def test_along_is_level_outside_and_straight_inside() -> None:
    curve = ((1.0, 10.0), (2.0, 20.0), (4.0, 30.0))
    assert [along(curve, x) for x in (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0)] == [10, 10, 15, 20, 25, 30, 30]
    assert along(curve, math.nan) == 10


def test_a_reading_says_how_much_of_it_is_right_and_its_lines_what_the_network_said() -> None:
    line = {"start": 0, "end": 30, "box": (0.1, 0.1, 0.9, 0.2), "confidence": 0.95}
    answer = {"text": "Survey of the quay wall 1920.0", "lines": [line], "confidence": 0.95, "rotation": 0, "note": ""}
    reading = as_reading(answer, 4, "fast")
    assert (reading.page, reading.engine, reading.confidence) == (4, "rapidocr-fast", 0.91)
    assert reading.lines[0].confidence == 0.95
    assert as_reading(answer, 4).engine == "rapidocr"


def test_the_two_sources_compete_for_the_same_bindings() -> None:
    assert (ocr.default, ocr_fast.default) == (True, False)
    assert ocr.inputs == ocr_fast.inputs and ocr.outputs == ocr_fast.outputs and ocr.carries == ocr_fast.carries
    assert (ocr.bid, ocr_fast.bid) == (thorough_bid, fast_bid)


def test_bidding_loads_no_engine() -> None:
    """A controller bids for every page and reads none."""
    code = "import sys, knowledge_sources.ocr_bids; print([m for m in ('cv2', 'numpy', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
