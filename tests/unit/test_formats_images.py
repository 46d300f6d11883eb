"""Pictures of every mode come out as upright RGB; too large or damaged ones are refused before they cost anything."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, PermanentFailure
from knowledge_sources.formats import images, reading

ORIENTATION = 0x0112


def saved(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def half(mode: str) -> Image.Image:
    """Black on its left half, white on its right."""
    grey = Image.new("L", (40, 20), 255)
    grey.paste(0, (0, 0, 20, 20))
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return grey.convert("RGB").convert(mode)


@pytest.mark.parametrize(
    ("mode", "name"),
    [("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("LA", "PNG"),
     ("I;16", "PNG"), ("I;16", "TIFF"), ("1", "TIFF"), ("P", "GIF"), ("RGB", "BMP"), ("RGB", "WEBP"), ("F", "TIFF")],
)  # fmt: skip
def test_every_mode_is_rgb(mode: str, name: str) -> None:
    found = images.load_image(saved(half(mode), name))
    assert found.pixels.dtype == np.uint8
    assert (found.pixels.shape, found.width, found.height) == ((20, 40, 3), 40, 20)
    assert found.pixels[:, :18].max() < 30
    assert found.pixels[:, 22:].min() > 225


def test_transparency_is_paper() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert images.load_image(saved(clear)).pixels.min() == 255


def test_the_camera_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = saved(half("RGB"), "JPEG", exif=exif)
    found = images.load_image(data)
    assert (found.width, found.height) == (20, 40)
    assert found.pixels[:18].max() < 30
    assert list(images.sizes(data, 1)) == [(20, 40)]


def test_pages_of_a_tiff() -> None:
    frames = [Image.new("L", (10 + n, 20), 80 * n) for n in range(3)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert images.inspect(data) == ("image/tiff", 3, [])
    assert [images.load_image(data, n).width for n in (1, 2, 3)] == [10, 11, 12]
    layers = list(reading.layers(data))
    assert [(layer["page"], layer["width"], layer["needs_ocr"]) for layer in layers] == [
        (1, 10, True), (2, 11, True), (3, 12, True)
    ]  # fmt: skip
    with pytest.raises(DocumentUnreadable):
        images.load_image(data, 4)


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("L", (9, 9), n * 40) for n in range(3)]
    media_type, pages, notes = images.inspect(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (media_type, pages) == ("image/gif", 1)
    assert "first frame" in notes[0]


def claims(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose pixels are not there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (60_000, 60_000), (2_000_000_000, 1)])
def test_too_many_pixels_are_refused_by_the_header(width: int, height: int) -> None:
    with pytest.raises(DocumentTooComplex, match="too large"):
        reading.inspect(claims(width, height))


@pytest.mark.parametrize("data", [claims(30, 30), saved(half("RGB"), "JPEG")[:300], b"\xff\xd8\xff\xe0nothing"])
def test_damaged_pictures_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        reading.inspect(data)
    assert caught.value.hint


SAMPLES = [saved(half("RGB"), name) for name in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_gives_pixels_or_a_typed_refusal(data: bytes, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(data)
    for place, value in changes:
        raw[place % len(raw)] = value
    try:
        found = images.load_image(bytes(raw))
    except PermanentFailure as error:
        assert str(error)
        return
    assert found.pixels.shape[2] == 3
