"""The two networks that read a page image: one finds text, one reads it.

The models are PP-OCRv6 (Apache-2.0, Latin, Chinese and Japanese), as the `rapidocr` wheel ships them. They are opened
by path: nothing is ever downloaded, and nothing of rapidocr's own loader runs (it returns no lines, without an error,
on palette, 1-bit and CMYK images). The steps around the networks follow PaddleOCR's: differentiable binarization (Liao
et al., 2020) to find text, connectionist temporal classification (Graves et al., 2006) to read it.

Images are BGR arrays of shape (height, width, 3), dtype uint8. Corners are in pixels: top left, top right, bottom
right, bottom left of the text as it stands.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blackboard.errors import PermanentFailure

Image = NDArray[np.uint8]
Quad = NDArray[np.float32]

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNIZER = "PP-OCRv6_rec_small.onnx"

PIXEL_THRESHOLD = 0.3
"""The detector's probability above which a pixel belongs to text."""
BOX_THRESHOLD = 0.4
"""The mean probability inside a box below which it is no text."""
UNCLIP = 1.6
"""The detector marks a shrunken core of each text; this ratio of area to perimeter grows it back."""
MIN_CORE = 3.0
SHORTER_SIDE = 320
LONGEST_SIDE = 4096
"""A strip's shorter side is not scaled down below the first, unless its longer side would be above the second."""
THIN = 128
EDGE = 32
"""Pixels added on each side of what is thinner than the first; a multiple of 32, as the network wants its sides."""
LINE_HEIGHT = 48
"""Height in pixels the recognizer was trained on."""
SIGNS = frozenset("€£¥§©®™°±·–—‘’‚“”„…•«»¿¡²³¼½¾µ÷†‡‰→←↑↓✓")
"""What besides ASCII and letters may stand in a Latin text. Not `×`, `º` or `Ⅰ`: they are x, o and I, misread."""
MIN_WIDTH = 64
MAX_WIDTH = 3200


@dataclass(frozen=True, slots=True)
class Read:
    """What the recognizer read in one crop: text and the mean probability of its characters, 0..1.

    `latin` and `latin_score` are the best reading that uses no sign foreign to Latin script.
    """

    text: str
    score: float
    latin: str
    latin_score: float


class Detector:
    """Finds text. `threads` is the number of processor threads a call may use."""

    def __init__(self, threads: int = 1) -> None:
        self._session = _session(DETECTOR, threads)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, image: Image, side: int) -> list[Quad]:
        """Corners of every piece of text, in no order, with the image's longer side scaled down to `side` if larger.

        A long strip is scaled down less, so that its letters stay legible.
        """
        height, width = image.shape[:2]
        longer, shorter = max(height, width), min(height, width)
        scale = min(1.0, max(side / longer, min(SHORTER_SIDE / shorter, LONGEST_SIDE / longer)))
        small_h = max(32, round(height * scale / 32) * 32)
        small_w = max(32, round(width * scale / 32) * 32)
        # Text at the very edge is not found: a picture of a single line needs something around it.
        edge = EDGE if min(small_h, small_w) < THIN else 0
        small = cv2.resize(image, (small_w, small_h))
        small = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
        batch = ((small.astype(np.float32) / 127.5) - 1.0).transpose(2, 0, 1)[None]
        (maps,) = self._session.run(None, {self._input: np.ascontiguousarray(batch)})
        ratio = np.array([width / small_w, height / small_h], dtype=np.float32)
        limit = np.array([width - 1, height - 1], dtype=np.float32)
        return [np.clip((quad - edge) * ratio, 0, limit) for quad in _cores(maps[0, 0])]


class Recognizer:
    """Reads one crop at a time: batches would pad short lines to the longest, which costs time and letters.

    `squeeze` (0..1] is how much narrower than in life a line is shown to the network: its time follows the width.
    """

    def __init__(self, threads: int = 1, squeeze: float = 1.0) -> None:
        self._squeeze = squeeze
        self._interpolation = cv2.INTER_AREA if squeeze < 1.0 else cv2.INTER_LINEAR
        self._session = _session(RECOGNIZER, threads)
        self._input = self._session.get_inputs()[0].name
        listed = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *listed, " "]
        self._foreign = np.array([index for index, c in enumerate(self._characters) if not _is_latin(c)])

    def __call__(self, crop: Image) -> Read:
        """The text in a crop that holds one line, upright. A crop without text reads as the empty string."""
        height, width = crop.shape[:2]
        wanted = min(MAX_WIDTH, max(8, math.ceil(self._squeeze * LINE_HEIGHT * width / height)))
        # Averaging keeps the thin strokes that sampling would skip.
        line = cv2.resize(crop, (wanted, LINE_HEIGHT), interpolation=self._interpolation)
        batch = np.zeros((1, 3, LINE_HEIGHT, max(wanted, MIN_WIDTH)), dtype=np.float32)
        batch[0, :, :, :wanted] = ((line.astype(np.float32) / 127.5) - 1.0).transpose(2, 0, 1)
        (steps,) = self._session.run(None, {self._input: batch})
        text, score = self._decode(steps[0])
        if all(_is_latin(c) for c in text):
            return Read(text, score, text, score)
        masked = steps[0].copy()
        masked[:, self._foreign] = 0.0
        latin, latin_score = self._decode(masked)
        return Read(text, score, latin, latin_score)

    def _decode(self, steps: NDArray[np.float32]) -> tuple[str, float]:
        best = steps.argmax(axis=1)
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        if not kept.any():
            return "", 0.0
        text = "".join(self._characters[i] for i in best[kept])
        return text.strip(), float(steps.max(axis=1)[kept].mean())


def cut(image: Image, quad: Quad) -> Image:
    """The crop inside the corners, straightened."""
    width = max(1, int(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2]))))
    height = max(1, int(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    turn = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    crop = cv2.warpPerspective(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)
    return np.asarray(crop, dtype=np.uint8)


def model_directory() -> Path:
    """Where the installed rapidocr wheel keeps its models. Raises PermanentFailure when it is not there."""
    spec = importlib.util.find_spec("rapidocr")
    places = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        folder = Path(place) / "models"
        if (folder / DETECTOR).is_file() and (folder / RECOGNIZER).is_file():
            return folder
    raise PermanentFailure(
        f"the OCR models {DETECTOR} and {RECOGNIZER} are not installed",
        hint="install rapidocr 3.10 or later: its wheel holds them",
    )


@functools.cache
def _session(name: str, threads: int) -> Any:
    # Shared: engines of different pace in one process use the same networks, and running one keeps no state.
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin while they wait take the processor from the other pages being read.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest page's memory for good, which a process with a limit cannot afford.
    options.enable_cpu_mem_arena = False
    path = str(model_directory() / name)
    return runtime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])


def _cores(chances: NDArray[np.float32]) -> list[Quad]:
    """Rectangles around the connected regions of text in a map of probabilities, grown back to the text's full size."""
    mask = cv2.dilate((chances > PIXEL_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < MIN_CORE:
            continue
        core = _corners(centre, width, height, angle)
        if _mean_inside(chances, core) < BOX_THRESHOLD:
            continue
        grow = UNCLIP * width * height / (width + height)
        quads.append(_ordered(_corners(centre, width + grow, height + grow, angle)))
    return quads


def _corners(centre: Sequence[float], width: float, height: float, angle: float) -> Quad:
    return np.asarray(cv2.boxPoints(((centre[0], centre[1]), (width, height), angle)), dtype=np.float32)


def _mean_inside(chances: NDArray[np.float32], corners: Quad) -> float:
    height, width = chances.shape
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, [width - 1, height - 1])
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    cv2.fillPoly(mask, [(corners - [x0, y0]).astype(np.int32)], 1)
    return float(cv2.mean(chances[y0 : y1 + 1, x0 : x1 + 1], mask)[0])


def _ordered(corners: Quad) -> Quad:
    """The corners from the top left one, clockwise."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], dtype=np.float32)


def _is_latin(character: str) -> bool:
    """Whether a text in Latin script may hold this character: look-alikes of common letters are left out."""
    if character.isascii() or character in SIGNS:
        return True
    return character.isalpha() and unicodedata.name(character, "").startswith("LATIN")
