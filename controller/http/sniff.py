"""First bytes against declared types: what is plainly not what it is said to be is refused before it is kept."""

from __future__ import annotations

import re

MAGIC = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "image/bmp": (b"BM",),
    "application/rtf": (b"{\\rtf",),
    "text/rtf": (b"{\\rtf",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (b"PK\x03\x04",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (b"PK\x03\x04",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (b"PK\x03\x04",),
    "application/vnd.oasis.opendocument.text": (b"PK\x03\x04",),
}
BY_SUFFIX = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
    ".rtf": "application/rtf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".odt": "application/vnd.oasis.opendocument.text",
}
PROGRAMS = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xca\xfe\xba\xbe", b"#!")
ENTITY = re.compile(r"<!\s*ENTITY", re.IGNORECASE)


def contradicts(first: bytes, declared: str, filename: str) -> bool:
    """Whether a file's first bytes (1 KB) cannot be of the type its sender names, by media type or by suffix.

    What is not declared, or of a type that has no signature, contradicts nothing but a program's first bytes.
    """
    media_type = declared.partition(";")[0].strip().lower()
    named = {media_type, BY_SUFFIX.get(filename[filename.rfind(".") :].lower(), "") if "." in filename else ""}
    for kind in named & MAGIC.keys():
        if kind == "application/pdf":
            # Readers accept up to 1 KB before the header; a file that begins as something else is a polyglot.
            if b"%PDF-" not in first[:1024] or _is_other(first):
                return True
        elif first and not first.startswith(MAGIC[kind]):
            return True
    return bool(named & MAGIC.keys() or media_type.startswith("text/")) and first.startswith(PROGRAMS[:-1])


def _is_other(first: bytes) -> bool:
    others = [magic for kind, magics in MAGIC.items() if kind != "application/pdf" for magic in magics]
    return first.startswith((*others, *PROGRAMS))


def declares_entities(text: str) -> bool:
    """Whether a text is markup that declares XML entities (XXE, billion laughs)."""
    return text.lstrip()[:1] == "<" and ENTITY.search(text) is not None
