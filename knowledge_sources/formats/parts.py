"""What a mail carries and what a zip archive packs: documents of their own, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, DocumentUnsafe
from knowledge_sources.formats import mail
from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.limits import MAX_BYTES
from knowledge_sources.formats.paper import Paper
from knowledge_sources.formats.sniff import READABLE, sniff

LISTED: Final = 500
"""Members of an archive that are listed by name."""
_LITTER: Final = ("__MACOSX", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Part:
    """One document inside another."""

    filename: str
    declared_type: str | None
    data: bytes


def parts(data: bytes, filename: str | None = None) -> Iterator[Part]:
    """The documents inside a mail or an archive that are of a kind that is read here, in their order.

    Raises DocumentTooComplex or DocumentUnreadable for a container over a limit, or damaged.
    """
    found = mail.attachments(data) if sniff(data, filename).kind == "eml" else _members(Archive(data))
    for name, declared_type, inner in found:
        if not why_not(inner, name):
            yield Part(name, declared_type, inner)


def why_not(data: bytes, filename: str) -> str:
    """Why a part is not read, in words; "" if it is."""
    if len(data) > MAX_BYTES:
        return f"it has {len(data) / 1e6:.1f} MB, the limit is {MAX_BYTES / 1e6:.0f} MB"
    try:
        sniff(data, filename)
    except (DocumentUnreadable, DocumentTooComplex, DocumentUnsafe) as error:
        return str(error)
    return ""


def read_zip(data: bytes) -> Paper:
    """One page that lists the members of an archive. Raises DocumentUnreadable when none of them can be read."""
    archive = Archive(data)
    names = _names(archive)
    reasons: list[str] = []
    for name, _, inner in _members(archive):
        reason = why_not(inner, name)
        if not reason:
            break
        reasons.append(f"{name}: {reason}")
    else:
        said = f" ({reasons[0]})" if reasons else ""
        raise DocumentUnreadable(
            f"this zip archive holds nothing that can be read here: {len(names)} files{said}", hint=READABLE
        )
    shown = "\n".join(f"{name} ({_size(archive.size(name))})" for name in names[:LISTED])
    more = f"\n... and {len(names) - LISTED} more" if len(names) > LISTED else ""
    count = "1 file" if len(names) == 1 else f"{len(names)} files"
    return Paper([f"Zip archive of {count}\n\n{shown}{more}"], None, [])


def _names(archive: Archive) -> list[str]:
    """Files people put into an archive: not folders, nor what systems leave behind."""
    return [
        name
        for name in archive.names
        if not name.endswith("/")
        and not any(word.startswith(".") or word in _LITTER for word in name.replace("\\", "/").split("/"))
    ]


def _members(archive: Archive) -> Iterator[tuple[str, str | None, bytes]]:
    for name in _names(archive):
        if archive.size(name) <= MAX_BYTES:
            yield name, None, archive.read(name)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1000))} KB"
