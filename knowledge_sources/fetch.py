"""Fetches a document that was submitted as an address."""

from __future__ import annotations

from blackboard import Address, Contribution, Each, Progress, Upload, knowledge_source
from blackboard.downloads import Downloads

NAME = "original"
"""A document is called so however it was submitted."""


@knowledge_source(version="1", cost="free", timeout=600, required=True)
async def fetch(address: Each[Address], downloads: Downloads, progress: Progress) -> Contribution[Upload]:
    """The document, as if it had been sent along.

    Raises AddressRefused for an address that leads inside or elsewhere, DocumentTooComplex, and what fetching may come to.
    """
    found = await downloads.get(address.url, progress)
    upload = Upload(
        sha256=found.sha256,
        size=found.size,
        filename=address.filename or found.filename,
        declared_type=found.media_type,
    )
    return Contribution(upload, name=NAME)
