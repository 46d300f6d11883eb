"""Pictures: PNG, JPEG, TIFF, GIF, BMP and WebP, decoded with Pillow to upright RGB.

Meant to run inside a sandbox. Sizes are checked from the header, before a pixel is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from blackboard.errors import DocumentTooComplex, DocumentUnreadable
from knowledge_sources.formats.limits import MAX_PAGES, too_many_pages
from knowledge_sources.formats.raster import Raster, raster

MAX_PIXELS: Final = 50_000_000
FORMATS: Final = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")
MEDIA_TYPES: Final = {"MPO": "image/jpeg"} | {name: f"image/{name.lower()}" for name in FORMATS}
"""By Pillow's name; MPO is a JPEG with a second picture behind it."""


@contextmanager
def opened(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The image, not yet decoded. Raises DocumentUnreadable or, over `max_pixels`, DocumentTooComplex; decoding errors
    inside the block become DocumentUnreadable too."""
    try:
        with warnings.catch_warnings():
            # Our own limit is the lower one; Pillow's warning would only say it in other words.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module="PIL")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                check_size(image.size, max_pixels)
                yield image
    except Image.DecompressionBombError as error:
        raise _too_many(f"{error}") from error
    except UnidentifiedImageError as error:
        raise DocumentUnreadable("this image cannot be decoded: its header is damaged", hint=_SAVE_AGAIN) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DocumentUnreadable(f"this image is damaged: {error}", hint=_SAVE_AGAIN) from error


_SAVE_AGAIN: Final = "open it in an image viewer, save it again and submit that"


def _too_many(what: str) -> DocumentTooComplex:
    return DocumentTooComplex(
        f"this image is too large to be read: {what}",
        hint="scale it down: 150 to 300 dots per inch are enough for text",
    )


def check_size(size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> None:
    """Raises DocumentTooComplex for more than `max_pixels`, DocumentUnreadable for an empty image."""
    width, height = size
    if width <= 0 or height <= 0:
        raise DocumentUnreadable("this image has no pixels")
    if width * height > max_pixels:
        raise _too_many(f"{width} x {height} pixels, the limit is {max_pixels // 1_000_000} million")


def load_image(data: bytes, frame: int = 1, *, max_pixels: int = MAX_PIXELS) -> Raster:
    """Decode one frame; frames count from 1, as pages do (only TIFF has more than one page).

    Turned as its EXIF orientation says, transparency on white, any palette, grey, CMYK, 1-bit or 16-bit made RGB.
    Raises DocumentUnreadable (damaged, or no such frame) or DocumentTooComplex.
    """
    with opened(data, max_pixels=max_pixels) as image:
        if frame > 1:
            image.seek(frame - 1)
            check_size(image.size, max_pixels)
        image.load()
        upright = ImageOps.exif_transpose(image)
        return raster(_rgb(upright))


def inspect(data: bytes) -> tuple[str, int, list[str]]:
    """Media type, number of pages and notes; the first page is decoded, to know that it can be.

    Raises as `load_image`; DocumentTooComplex also for more than 2,000 pages.
    """
    with opened(data) as image:
        media_type = MEDIA_TYPES[image.format or ""]
        frames = int(getattr(image, "n_frames", 1))
        pages = frames if image.format == "TIFF" else 1
        if pages > MAX_PAGES:
            raise too_many_pages("image", pages)
        image.seek(0)
        image.load()
        animated = frames > 1 and image.format in ("GIF", "WEBP", "PNG")
        return media_type, pages, ["Of the animation only the first frame is read."] if animated else []


def sizes(data: bytes, pages: int) -> Iterator[tuple[int, int]]:
    """Width and height of each page in pixels, upright."""
    with opened(data) as image:
        for page in range(pages):
            if page:
                image.seek(page)
                check_size(image.size)
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            yield (height, width) if turned else (width, height)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any mode as RGB."""
    if image.mode.startswith(("I", "F")):
        return _deep(np.asarray(image, dtype=np.float64))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        picture = image.convert("RGBA")
        sheet = Image.new("RGBA", picture.size, "white")
        image = Image.alpha_composite(sheet, picture)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _deep(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits; Pillow's own conversion clips them to white."""
    values = np.nan_to_num(values)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        scaled = values
    elif low >= 0 and high <= 65535:
        scaled = values / 257.0
    else:
        scaled = (values - low) * (255.0 / max(high - low, 1e-9))
    grey = scaled.astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
