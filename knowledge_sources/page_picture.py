"""A page's pixels as a file that can be sent to a model. Runs inside a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blackboard.errors import PermanentFailure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE: Final = 1568
"""Pixels of the longer side: larger pictures are made smaller by whoever looks at them, and cost no less."""
MOST_BYTES: Final = 1_500_000
"""Above, a picture without loss gives way to one that is nearly so: requests have a limit, and photographs are large."""
QUALITY: Final = 90
PNG: Final = b"\x89PNG"


def page_picture(image: NDArray[np.uint8]) -> bytes:
    """BGR pixels of shape (height, width, 3) as a PNG, or where that is large, as a JPEG file."""
    # Here, and not above: whoever only looks for sources imports this, and never draws.
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    data = _encoded(".png", image)
    return data if len(data) <= MOST_BYTES else _encoded(".jpg", image, cv2.IMWRITE_JPEG_QUALITY, QUALITY)


def _encoded(kind: str, image: NDArray[np.uint8], *options: int) -> bytes:
    import cv2

    done, data = cv2.imencode(kind, image, list(options))
    if not done:
        raise PermanentFailure("the page's picture cannot be encoded")
    return bytes(data.tobytes())
