"""Two pages that do not quite agree, for sources that ask a model."""

from __future__ import annotations

from blackboard import Document, Page

ONE = Page(
    number=1,
    text="Agreement between Acme Ltd and Jane Doe.\nThe rent is 1,200.00 GBP a month.\nIt starts on 3 May 2024.",
)
TWO = Page(number=2, text="Schedule\nAcme Ltd lets the house.\nThe rent is 1,250.00 GBP a month.\nTotal: 1,250.00 GBP")
PAGES = (ONE, TWO)
DOCUMENT = Document(sha256="d", kind="txt", media_type="text/plain", pages=2)


def quote(page: int, text: str) -> dict[str, object]:
    """Words of a page, as answers give them."""
    return {"page": page, "text": text}
