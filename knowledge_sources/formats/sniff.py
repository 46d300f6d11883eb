"""What bytes are, by their content. A file's name only decides between kinds of plain text that look alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from blackboard.errors import DocumentUnreadable
from knowledge_sources.formats import xml
from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.encoding import Decoded, decode
from knowledge_sources.formats.text_kinds import text_kind

OFFICE: Final = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "docx": f"{OFFICE}.wordprocessingml.document",
    "pptx": f"{OFFICE}.presentationml.presentation",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "rtf": "application/rtf",
    "eml": "message/rfc822",
    "zip": "application/zip",
    "html": "text/html",
    "md": "text/markdown",
    "csv": "text/csv",
    "txt": "text/plain",
    "xml": "application/xml",
}

_IMAGES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_REFUSED: Final = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xce\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\x00asm", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"(\xb5/\xfd", "a zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"8BPS", "a Photoshop image"),
    (b"SQLite format 3\x00", "a database"),
    (b"ID3", "a sound recording"),
    (b"OggS", "a sound or video recording"),
    (b"fLaC", "a sound recording"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"\x00\x01\x00\x00\x00", "a font"),
    (b"AT&TFORM", "a DjVu document"),
    (b"ITSF", "a Windows help file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
)
READABLE: Final = (
    "submit a PDF, an image, an Office or OpenDocument text, a mail, a web page, a text file or a zip of such"
)

_MAIL_HEADER = re.compile(
    rb"(?im)^(from|to|cc|date|subject|message-id|received|mime-version|return-path|content-type|delivered-to|reply-to|sender|"
    rb"dkim-signature|content-transfer-encoding):"
)
_FIRST_HEADER = re.compile(rb"\s*(From [^\n]+\n)?[A-Za-z][A-Za-z0-9-]*:[ \t\r\n]")
_CERTAIN_HEADERS = frozenset((b"message-id", b"received", b"mime-version", b"return-path", b"dkim-signature"))


@dataclass(frozen=True, slots=True)
class Kind:
    """`kind` is Document.kind; `decoded` is the text of the kinds that are plain text."""

    kind: str
    media_type: str
    decoded: Decoded | None = None


def sniff(data: bytes, filename: str | None = None) -> Kind:
    """The kind of a document. Raises DocumentUnreadable, saying what the file is, for everything that is not read here."""
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        what = "holds only blanks" if data else "is empty"
        raise DocumentUnreadable(f"this document {what}", hint="check that the upload was complete")
    head = data[:1024]
    # Before PDF, whose mark may stand anywhere in the first kilobyte: an archive that stores one has it there, too.
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _container(data)
    if head.startswith(b"%PDF-") or (b"%PDF-" in head and b"endobj" in data and not head.lstrip().startswith(b"<")):
        return Kind("pdf", MEDIA_TYPES["pdf"])
    for magic, media_type in _IMAGES:
        if data.startswith(magic):
            return Kind("image", media_type)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind("image", "image/webp")
    if head[:2] == b"BM" and len(data) > 26 and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return Kind("image", "image/bmp")
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise _compound(data)
    if head.lstrip()[:5].lower() == b"{\\rtf":
        return Kind("rtf", MEDIA_TYPES["rtf"])
    return _plain(data, filename)


def _plain(data: bytes, filename: str | None) -> Kind:
    """Text of some kind, or a refusal."""
    if _is_mail(data, filename):
        return Kind("eml", MEDIA_TYPES["eml"])
    decoded = decode(data)
    if decoded is None:
        raise _refusal(data)
    kind = text_kind(decoded.text, filename)
    if kind == "xml":
        xml.forbid_document_type(data)
        return Kind("txt", MEDIA_TYPES["xml"], decoded)
    if kind == "txt" and (what := _program(data)):
        raise _unreadable(what)
    return Kind(kind, MEDIA_TYPES[kind], decoded)


def _program(data: bytes) -> str:
    """Formats that pass for text in their first bytes."""
    if data.startswith(b"%!PS"):
        return "a PostScript document"
    if data[:2] == b"MZ" and b"This program" in data[:512]:
        return "a Windows program"
    return ""


def _refusal(data: bytes) -> DocumentUnreadable:
    for magic, what in _REFUSED:
        if data.startswith(magic):
            return _unreadable(what)
    if data[4:8] == b"ftyp":
        heif = data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")
        return _unreadable("a HEIC or AVIF image" if heif else "a video or sound recording")
    if data[257:262] == b"ustar":
        return _unreadable("a tar archive")
    return _unreadable("a binary file of no type that is known here")


def _unreadable(what: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"this file is {what}, which is not read here", hint=READABLE)


def _container(data: bytes) -> Kind:
    """A zip: which document it packs."""
    archive = Archive(data)
    if "mimetype" in archive:
        said = archive.read("mimetype")[:200].decode("ascii", "replace").strip()
        if said.startswith(MEDIA_TYPES["odt"]):
            return Kind("odt", MEDIA_TYPES["odt"])
        if said.startswith("application/vnd.oasis.opendocument"):
            raise _unreadable(f"an OpenDocument {said.rpartition('.')[2]}")
        if said == "application/epub+zip":
            raise _unreadable("an electronic book (EPUB)")
    if "[Content_Types].xml" in archive:
        types = archive.read("[Content_Types].xml").decode("utf-8", "replace")
        folders = {name.partition("/")[0].lower() for name in archive.names}
        for folder, kind, word in (
            ("word", "docx", "word"),
            ("ppt", "pptx", "presentation"),
            ("xl", "xlsx", "spreadsheet"),
        ):
            if folder in folders and (word in types or "ms-excel" in types or "ms-powerpoint" in types):
                if kind == "xlsx" and any(name.endswith("workbook.bin") for name in archive.names):
                    raise _unreadable("a binary Excel workbook (xlsb); save it as xlsx")
                return Kind(kind, MEDIA_TYPES[kind])
    for member, what in (
        ("[Content_Types].xml", "a packaged document of another program"),
        ("META-INF/MANIFEST.MF", "a Java program"),
        ("AndroidManifest.xml", "an Android program"),
    ):
        if member in archive:
            raise _unreadable(what)
    return Kind("zip", MEDIA_TYPES["zip"])


def _compound(data: bytes) -> DocumentUnreadable:
    """The container of old Office files, of Outlook messages and of encrypted new Office files, by names in its directory."""

    def holds(name: str) -> bool:
        return name.encode("utf-16-le") in data

    if holds("EncryptedPackage"):
        return DocumentUnreadable(
            "this Office document is encrypted and needs a password to be opened",
            hint="save a copy without the password",
        )
    for name, what, instead in (
        ("__substg1.0_", "an Outlook message (msg)", "save it as .eml or print it to PDF"),
        ("WordDocument", "a Word document of the old format (doc)", "save it as .docx or PDF"),
        ("PowerPoint Document", "a presentation of the old format (ppt)", "save it as .pptx or PDF"),
        ("Workbook", "a workbook of the old format (xls)", "save it as .xlsx or PDF"),
        ("Book", "a workbook of the old format (xls)", "save it as .xlsx or PDF"),
    ):
        if holds(name):
            return DocumentUnreadable(f"this file is {what}, which is not read here", hint=instead)
    return _unreadable("an old Microsoft container of unknown content")


def _is_mail(data: bytes, filename: str | None) -> bool:
    """A message begins with headers, some of which no letter or memo has."""
    head = data[:16_384].removeprefix(b"\xef\xbb\xbf")
    if not _FIRST_HEADER.match(head):
        return False
    block = re.split(rb"\r?\n\r?\n", head.lstrip(), maxsplit=1)[0]
    found = {match[1].lower() for match in _MAIL_HEADER.finditer(block)}
    if found & _CERTAIN_HEADERS and found & {b"from", b"to", b"subject", b"date", b"content-type"}:
        return True
    named = (filename or "").lower().endswith((".eml", ".mht"))
    return named and len(found & {b"from", b"to", b"subject", b"date", b"content-type"}) >= 2
