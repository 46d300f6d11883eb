"""pdfium's two doors, untyped as the package leaves them, so that strict typing holds everywhere else."""

from __future__ import annotations

from typing import Any, Final

import pypdfium2
import pypdfium2.raw

pdfium: Final[Any] = pypdfium2
"""Documents, pages, bitmaps."""
raw: Final[Any] = pypdfium2.raw
"""pdfium's C functions."""
PdfiumError: Final[type[Exception]] = pypdfium2.PdfiumError
"""What the first door raises for a document or a page that pdfium refuses."""
