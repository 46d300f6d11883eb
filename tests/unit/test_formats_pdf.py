"""PDF: text with exact offsets and true boxes, reading order, and when a page needs OCR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard.errors import DocumentUnreadable, PermanentFailure
from blackboard.levels import Layer
from knowledge_sources.formats import pdf, pdf_text, reading
from tests.pdf_maker import A4, Sheet, lines_at, make_pdf, text_at

PROSE = [
    "The committee met on the second of May to discuss the report.",
    "It was agreed that the figures of the last quarter were sound,",
    "and that the next meeting would be held in the autumn of the year.",
]
SCAN = (100, 140, np.tile(np.array([255] * 8 + [0] * 2, dtype=np.uint8), 1400).tobytes())
OVER_ALL = "q 595 0 0 842 0 0 cm /Im0 Do Q\n"


def layers(*sheets: Sheet) -> list[Layer]:
    return [Layer.model_validate(found) for found in pdf_text.layers(make_pdf(*sheets))]


def box_of(layer: Layer, words: str) -> tuple[float, ...]:
    line = next(line for line in layer.lines if layer.text[line.start : line.end] == words)
    assert line.box is not None
    return line.box


def test_lines_quote_the_text_and_boxes_are_fractions_from_the_top() -> None:
    (layer,) = layers(Sheet(lines_at(59.5, 758, PROSE)))
    assert layer.text == "\n".join(PROSE)
    assert [layer.text[line.start : line.end] for line in layer.lines] == PROSE
    x0, y0, x1, y1 = box_of(layer, PROSE[0])
    assert x0 == pytest.approx(0.1, abs=0.01)
    assert y1 == pytest.approx(1 - 758 / 842, abs=0.01)
    assert 0 < y1 - y0 < 0.02
    assert x1 > 0.5
    assert not layer.needs_ocr
    assert layer.quality > 0.9
    assert (layer.width, layer.height) == A4


TURNED = {0: "1 0 0 1 100 700", 90: "0 1 -1 0 100 300", 180: "-1 0 0 -1 400 300", 270: "0 -1 1 0 300 700"}


def turned(words: str, rotation: int) -> str:
    """Text that is upright on a page shown with this rotation."""
    return f"BT /F1 12 Tf {TURNED[rotation]} Tm ({words}) Tj ET\n"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("words", ["CORNER", "CORNER OF THE UPRIGHT PAGE"])
def test_boxes_are_those_of_the_upright_page(rotation: int, words: str) -> None:
    """The box must stand where the words stand on the picture of the page."""
    sheet = Sheet(turned(words, rotation), rotate=rotation)
    (layer,) = layers(sheet)
    picture = pdf.render_page(make_pdf(sheet), 1, dpi=72)
    assert (picture.width > picture.height) == (rotation in (90, 270))
    assert (layer.width, layer.height) == (picture.width, picture.height)
    rows, columns = np.nonzero(picture.pixels.min(axis=2) < 128)
    seen = (columns.min() / picture.width, rows.min() / picture.height,
            columns.max() / picture.width, rows.max() / picture.height)  # fmt: skip
    assert layer.lines[0].box == pytest.approx(seen, abs=0.012)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_table_that_lies_on_its_side_is_read_row_by_row(rotation: int) -> None:
    rows = [("Alabama", "18,870"), ("Alaska", "209"), ("Arizona", "2,303")]
    content = "".join(lines_at(60 + 200 * n, 500, [row[n] for row in rows]) for n in range(2))
    (upright,) = layers(Sheet(content, size=(842, 595)))
    (lying,) = layers(Sheet(content, size=(842, 595), rotate=rotation))
    assert lying.text.splitlines() == ["Alabama   18,870", "Alaska   209", "Arizona   2,303"]
    assert (lying.text, lying.lines, lying.width) == (upright.text, upright.lines, upright.width)
    assert f"turned by {360 - rotation} degrees" in lying.reason


def test_the_crop_box_is_the_page() -> None:
    content = text_at(100, 700, "inside of the visible part") + text_at(100, 100, "outside of it")
    (layer,) = layers(Sheet(content, crop=(50, 600, 350, 800)))
    assert layer.text == "inside of the visible part"
    assert (layer.width, layer.height) == (300, 200)
    assert layer.lines[0].box is not None
    assert layer.lines[0].box[0] == pytest.approx(50 / 300, abs=0.01)


def test_amounts_stay_on_the_row_of_their_label_however_they_are_drawn() -> None:
    labels = ["Net amount", "VAT 19 %", "Total"]
    amounts = ["100.00", "19.00", "119.00"]
    (layer,) = layers(Sheet(lines_at(60, 700, labels) + lines_at(400, 700, amounts)))
    assert layer.text.splitlines() == ["Net amount   100.00", "VAT 19 %   19.00", "Total   119.00"]
    assert {layer.text[line.start : line.end] for line in layer.lines} == {*labels, *amounts}


def test_columns_are_read_one_after_the_other() -> None:
    left = [f"left column line {n} of the first story" for n in range(12)]
    right = [f"right column line {n} of the other story" for n in range(12)]
    (layer,) = layers(Sheet(lines_at(50, 700, left, size=10) + lines_at(320, 700, right, size=10)))
    assert [line for line in layer.text.splitlines() if line] == left + right


def test_a_wide_gap_inside_a_line_separates_cells() -> None:
    content = "BT /F1 12 Tf 1 0 0 1 60 700 Tm (Item) Tj 80 0 Td (Price) Tj 80 0 Td (12.50) Tj ET\n"
    (layer,) = layers(Sheet(content + lines_at(60, 600, PROSE)))
    assert layer.text.startswith("Item   Price   12.50\n")


def test_a_blank_page_needs_no_ocr() -> None:
    (layer,) = layers(Sheet())
    assert (layer.text, layer.needs_ocr, layer.reason) == ("", False, "the page is blank")


def test_a_scan_needs_ocr() -> None:
    (layer,) = layers(Sheet(OVER_ALL, scan=SCAN))
    assert layer.needs_ocr
    assert "image" in layer.reason


def test_a_white_scan_is_blank() -> None:
    (layer,) = layers(Sheet(OVER_ALL, scan=(10, 10, b"\xff" * 100)))
    assert not layer.needs_ocr


def test_a_stamp_on_a_scan_does_not_pass_for_its_text() -> None:
    (layer,) = layers(Sheet(OVER_ALL + text_at(50, 800, "Received on the third of June 2021"), scan=SCAN))
    assert layer.needs_ocr
    assert layer.text == "Received on the third of June 2021"


def test_the_hidden_text_of_an_ocr_program_is_kept() -> None:
    hidden = "".join(text_at(60, 700 - 14 * n, line, mode=3) for n, line in enumerate(PROSE))
    (layer,) = layers(Sheet(OVER_ALL + hidden, scan=SCAN))
    assert not layer.needs_ocr
    assert "OCR program" in layer.reason


def test_hidden_text_that_is_no_language_is_read_again() -> None:
    noise = ["xkq zwrt ~~^ bdfg |}{ qqzt ^^~ wrtp sdfk ~|}{ pqrst"] * 5
    hidden = "".join(text_at(60, 700 - 14 * n, line, mode=3) for n, line in enumerate(noise))
    (layer,) = layers(Sheet(OVER_ALL + hidden, scan=SCAN))
    assert layer.needs_ocr


def test_invisible_text_is_told() -> None:
    (layer,) = layers(
        Sheet(text_at(60, 700, "Visible heading line") + text_at(60, 650, "Pay nothing, ignore it", mode=3))
    )
    assert "invisible" in layer.reason


def test_letters_drawn_as_outlines_need_ocr() -> None:
    strokes = "".join(f"{60 + 9 * n} 600 6 40 re f\n" for n in range(40))
    (layer,) = layers(Sheet(strokes))
    assert layer.needs_ocr


def test_a_short_page_needs_no_ocr() -> None:
    (layer,) = layers(Sheet(text_at(280, 420, "Annex A")))
    assert not layer.needs_ocr


def test_a_huge_page_is_drawn_within_its_limit() -> None:
    picture = pdf.render_page(make_pdf(Sheet(text_at(60, 700, "x"), size=(14_400, 14_400))), 1, dpi=300, max_pixels=1e6)
    assert picture.width * picture.height <= 1.01e6


def test_a_page_that_is_almost_a_line_is_no_failure() -> None:
    strokes = "".join(f"{60 + 9 * n} 0 6 1 re f\n" for n in range(40))
    (thin, good) = layers(Sheet(strokes, size=(10_000_000, 1)), Sheet(lines_at(60, 700, PROSE)))
    assert thin.text == ""
    assert good.text.startswith(PROSE[0])


def test_inspect_tells_pages_and_title() -> None:
    found = reading.inspect(make_pdf(Sheet("", A4), Sheet(text_at(9, 9, "x")), title="Minutes"))
    assert found == {"kind": "pdf", "media_type": "application/pdf", "pages": 2, "title": "Minutes", "notes": []}


@pytest.mark.parametrize("data", [b"%PDF-1.3\nThis is not a PDF\n%%EOF", b"%PDF-1.7\n" + b"\x00\xff" * 500])
def test_damage_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="damaged") as caught:
        reading.inspect(data)
    assert caught.value.hint


def test_no_such_page() -> None:
    with pytest.raises(DocumentUnreadable, match="no page 2"):
        pdf.render_page(make_pdf(Sheet()), 2)


WHOLE = make_pdf(Sheet(lines_at(60, 700, PROSE)), Sheet(OVER_ALL, scan=SCAN), title="Whole")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(WHOLE))
)
def test_any_damage_gives_layers_or_a_typed_refusal(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        found: list[dict[str, Any]] = list(reading.layers(bytes(data[: max(length, 600)])))
    except PermanentFailure as error:
        assert str(error)
        return
    for raw in found:
        layer = Layer.model_validate(raw)
        assert all(layer.text[line.start : line.end] for line in layer.lines)
