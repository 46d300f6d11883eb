"""Kinds of documents by their content, and refusals that say what a file is."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blackboard.errors import DocumentTooComplex, DocumentUnreadable, DocumentUnsafe, PermanentFailure
from knowledge_sources.formats.sniff import sniff
from tests.pdf_maker import Sheet, make_pdf


def picture(name: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 3), "white").save(out, name)
    return out.getvalue()


def packed(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def office(folder: str, word: str) -> bytes:
    return packed(**{"[Content_Types].xml": f"<Types>{word}ml</Types>", f"{folder}/x.xml": "<x/>"})


MAIL = b"Received: from a\r\nFrom: a@example.org\r\nSubject: Hello\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nHello.\r\n"
MEMO = b"To: All staff\nFrom: The board\nSubject: Holidays\n\nThe office is closed on Friday.\n"
TABLE = b"name,amount\nApples,3\nPears,4\n"
MARKDOWN = b"# Title\n\nSome `code` and a [link](https://example.org).\n\n- one\n- two\n"
PAGE = b"<!-- made by hand -->\n<!DOCTYPE html>\n<html><body><p>Hello</p></body></html>"
PROSE = b"Dear Sir, thank you, as ever, for your letter.\nWe will answer, of course, within the week.\n"


@pytest.mark.parametrize(
    ("data", "kind", "media_type"),
    [
        (make_pdf(Sheet()), "pdf", "application/pdf"),
        (b"\n\n" + make_pdf(Sheet()), "pdf", "application/pdf"),
        *((picture(name), "image", f"image/{name.lower()}") for name in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")),
        (office("word", "word"), "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (
            office("ppt", "presentation"),
            "pptx",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
        (office("xl", "spreadsheet"), "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (packed(mimetype="application/vnd.oasis.opendocument.text"), "odt", "application/vnd.oasis.opendocument.text"),
        (b"{\\rtf1\\ansi Hello}", "rtf", "application/rtf"),
        (MAIL, "eml", "message/rfc822"),
        (MEMO, "txt", "text/plain"),
        (TABLE, "csv", "text/csv"),
        (TABLE.replace(b",", b";"), "csv", "text/csv"),
        (TABLE.replace(b",", b"\t").decode().encode("utf-16"), "csv", "text/csv"),
        (MARKDOWN, "md", "text/markdown"),
        (PAGE, "html", "text/html"),
        (b"<div><p>A fragment</p><br></div>", "html", "text/html"),
        (b'<?xml version="1.0"?><order><item>3</item></order>', "txt", "application/xml"),
        (PROSE, "txt", "text/plain"),
        ("Größe".encode("cp1252"), "txt", "text/plain"),
    ],
)
def test_kinds(data: bytes, kind: str, media_type: str) -> None:
    found = sniff(data)
    assert (found.kind, found.media_type) == (kind, media_type)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [(PROSE, "notes.md", "md"), (MARKDOWN, "notes.txt", "txt"), (b"a,b\n", "x.csv", "csv"), (MEMO, "memo.eml", "eml"),
     (make_pdf(Sheet()), "picture.png", "pdf"), (TABLE, "table.pdf", "csv")],
)  # fmt: skip
def test_a_name_decides_only_between_kinds_of_text(data: bytes, name: str, kind: str) -> None:
    assert sniff(data, name).kind == kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \r\n\t\n", "only blanks"),
        (b"\xff\xfe", "only blanks"),
        (b"MZ\x90\x00" + bytes(200), "a Windows program"),
        (b"\x7fELF" + bytes(60), "a program"),
        (b"\x1f\x8b\x08" + bytes(range(200)), "gzip"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(range(100)), "HEIC"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(range(100)), "video"),
        (bytes(257) + b"ustar" + bytes(100), "tar"),
        (b"%!PS-Adobe-3.0\nshowpage\n", "PostScript"),
        (packed(**{"[Content_Types].xml": "visio"}), "another program"),
        (packed(**{"META-INF/MANIFEST.MF": "x"}), "Java"),
        (packed(mimetype="application/epub+zip"), "electronic book"),
        (packed(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "OpenDocument spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__substg1.0_".encode("utf-16-le"), "Outlook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "old format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
        (bytes(range(256)) * 4, "binary file"),
    ],
)
def test_refusals_say_what_the_file_is_and_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(DocumentUnreadable, match=words) as caught:
        sniff(data)
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'.encode("utf-16"),
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd"><svg></svg>',
    ],
)
def test_a_document_type_is_unsafe(data: bytes) -> None:
    with pytest.raises(DocumentUnsafe, match="DTD"):
        sniff(data)


@given(st.binary(max_size=400))
def test_any_bytes_have_a_kind_or_a_typed_refusal(data: bytes) -> None:
    try:
        assert sniff(data).kind
    except PermanentFailure as error:
        assert str(error)


@given(
    st.sampled_from([office("word", "word"), picture("PNG"), MAIL, PAGE]), st.integers(0, 200), st.binary(max_size=30)
)
def test_any_damage_has_a_kind_or_a_typed_refusal(data: bytes, place: int, patch: bytes) -> None:
    try:
        assert sniff(data[:place] + patch + data[place + len(patch) :]).kind
    except (DocumentUnreadable, DocumentTooComplex, DocumentUnsafe) as error:
        assert str(error)


def test_an_archive_that_stores_a_pdf_is_an_archive() -> None:
    stored = packed(**{"v.pdf": "%PDF-1.4\n1 0 obj<<>>endobj\n%%EOF", "x.txt": "Total due GBP 100.00"})
    assert b"%PDF-" in stored[:1024] and b"endobj" in stored
    assert sniff(stored).kind == "zip"
