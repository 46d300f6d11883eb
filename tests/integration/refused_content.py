"""Rows of the table of bad inputs that are about what is sent: bodies, media types, files and addresses."""

from __future__ import annotations

import asyncio
import io
import zipfile

import orjson

from tests.integration.refusing import GOOD, JSON, Table, bodies, problem

CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
URLS = (
    "http://127.0.0.1/", "https://127.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
    "https://2130706433/", "https://0x7f.1/", "https://localhost./", "https://user:pass@example.org/", "file:///etc/passwd",
    "gopher://example.org/", "https://example.org:22/",
)  # fmt: skip


async def invalid_content(table: Table) -> None:
    await bodies(
        422, "validation-error", b'"text"', b"null", b'{"text": "a", "deadline_s": -1}',
        b'{"text": "a", "priority": "sesame-93"}', b'{"text": "a", "url": "https://example.org/sesame-93"}',
        b'{"text": "a", "goal": ["sesame-93"]}', b'{"text": "a", "sources": ["remarks", "sesame-93"]}',
    )(table)  # fmt: skip
    await bodies(422, "invalid-filename", b'{"text": "a", "filename": "../sesame-93"}')(table)
    for body, pointer in (
        (b"{}", "/text"), (b'{"text": 7}', "/text"), (b'{"text": "a", "sesame-93": 1}', "/sesame-93"),
        (b'{"text": "a", "deadline_s": "7"}', "/deadline_s"), (b'{"text": "a", "deadline_s": true}', "/deadline_s"),
    ):  # fmt: skip
        answer = await table.send(body)
        assert answer.status_code == 422 and answer.json()["type"].endswith("/validation-error")
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def media_types(table: Table) -> None:
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}):
        answer = await table.send(GOOD, headers)
        problem(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-post"]


async def codings(table: Table) -> None:
    for coding in ("gzip", "br", "x-unknown", "gzip, identity"):
        answer = await table.send(GOOD, {**JSON, "Content-Encoding": coding})
        problem(answer, 415, "unsupported-content-encoding")
        assert answer.headers["accept-encoding"] == "identity"


async def too_large(table: Table) -> None:
    head = b"POST /v1/documents HTTP/1.1\r\nContent-Type: application/json\r\n"
    announced = await table.raw(head, b"Content-Length: 99999999\r\n\r\n")
    problem(announced, 413, "content-too-large")
    problem(await table.raw(head, b"Transfer-Encoding: chunked\r\n\r\n", *[CHUNK] * 17), 413, "content-too-large")


async def wrong_magic(table: Table) -> None:
    for name, declared, content in (
        ("a.pdf", "application/pdf", b"MZ\x90\x00 This program"),
        ("a.pdf", "application/octet-stream", b"\x7fELF"),
        ("a.pdf", "application/pdf", b"MZ" + b" " * 100 + b"%PDF-1.7"),
        ("a.pdf", "application/pdf", b"PK\x03\x04" + b" " * 100 + b"%PDF-1.7"),
        ("a.bin", "image/png", b"%PDF-1.7"),
        ("a.docx", "", b"%PDF-1.7"),
        ("a.txt", "text/plain", b"MZ\x90\x00"),
    ):
        files = {"file": (name, content, declared)}
        problem(await table.ask("POST", "/v1/documents", files=files), 415, "media-type-mismatch")


async def filenames(table: Table) -> None:
    for name in (
        b"../a",
        b"a/b",
        b"a\\\\b",
        b"..",
        b"a\x00b",
        b"a%00b",
        b"a%0D%0AX",
        b"x" * 256,
        b"\xff",
        "é".encode() * 128,
    ):
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\nhello\r\n--b--\r\n' % name
        problem(await table.send(body, FORM), 422, "invalid-filename")


async def fails(table: Table, name: str, content: bytes, slug: str) -> None:
    """Accepted, and the board says why it could not be read."""
    answer = await table.ask("POST", "/v1/documents", files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    path = answer.json()["links"]["self"]
    while (board := (await table.ask("GET", path)).json())["status"] == "open":
        await asyncio.sleep(0.02)
    assert board["status"] == "failed"
    assert board["problem"]["type"].endswith(f"/problems/{slug}"), board["problem"]
    assert board["problem"]["detail"]


def packed(**members: bytes) -> bytes:
    """A word processor's file with these members."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in members.items():
            archive.writestr(f"word/{name}.xml", content)
    return found.getvalue()


async def unreadable(table: Table) -> None:
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    for name, content in (("a.pdf", b"%PDF-1.7\nnothing of the kind"), ("a", encrypted), ("a", b"")):
        await fails(table, name, content, "document-unreadable")


async def too_complex(table: Table) -> None:
    await fails(table, "a.docx", packed(document=b" " * 30_000_000), "document-too-complex")


async def unsafe(table: Table) -> None:
    laughs = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'
    await fails(table, "a.html", laughs, "document-unsafe")
    problem(await table.send(orjson.dumps({"text": laughs.decode()})), 422, "document-unsafe")


async def addresses(table: Table) -> None:
    for url in URLS:
        problem(await table.send(orjson.dumps({"url": url})), 422, "url-not-allowed")
        problem(await table.send(orjson.dumps({"url": url}), path="/v1/webhooks"), 422, "url-not-allowed")
