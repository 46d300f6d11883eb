"""Mail messages (RFC 5322 and MIME), by the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Final

from knowledge_sources.formats import html
from knowledge_sources.formats.encoding import decode
from knowledge_sources.formats.paper import Paper, paginate

HEADERS: Final = ("From", "To", "Cc", "Date", "Subject")
MAX_DEPTH: Final = 4
"""Messages inside messages that are read."""
MAX_PARTS: Final = 1000
MAX_NESTED: Final = 2 * MAX_DEPTH
"""Containers inside containers that are searched for attachments."""


def read(data: bytes) -> Paper:
    """Headers, then the text parts; HTML is read where a message has no plain text. Attachments are named in the notes."""
    message = BytesParser(policy=policy.default).parsebytes(data)
    notes: list[str] = []
    blocks = list(_message(message, notes, depth=0))
    text = "\n\n".join(blocks)
    subject = _header(message, "Subject")
    return Paper(paginate(re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n"))), subject or None, notes)


def _header(message: Message, name: str) -> str:
    """A header's value; the library's own parser fails on some broken ones."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        raw = dict(message.raw_items()).get(name, "") if isinstance(message, EmailMessage) else ""
        return " ".join(str(raw).split())


def _message(message: Message, notes: list[str], depth: int) -> Iterator[str]:
    lines = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    yield "\n".join(lines)
    yield from _parts(message, notes, depth)


def _parts(message: Message, notes: list[str], depth: int) -> Iterator[str]:
    """Text of the parts in order; of alternatives, the plain one, else the last that can be read."""
    if len(notes) > MAX_PARTS or depth > MAX_DEPTH:
        notes.append("Parts nested too deeply were not read.")
        return
    kind = message.get_content_type()
    if kind == "message/rfc822":
        for inner in message.get_payload() if message.is_multipart() else []:
            if isinstance(inner, Message):
                yield from _message(inner, notes, depth + 1)
    elif kind == "multipart/alternative":
        parts = [part for part in message.get_payload() if isinstance(part, Message)]
        plain = [part for part in parts if part.get_content_type() == "text/plain" and _body(part).strip()]
        for part in plain[:1] or parts[-1:]:
            yield from _parts(part, notes, depth + 1)
    elif message.is_multipart():
        for inner in list(message.get_payload())[:MAX_PARTS]:
            if isinstance(inner, Message):
                yield from _parts(inner, notes, depth + 1)
    elif (name := _attachment(message)) is not None:
        notes.append(f"Attachment {name!r} is not part of these pages.")
    elif kind.startswith("text/"):
        yield html.to_text(_body(message)) if kind == "text/html" else _body(message)


def _attachment(part: Message) -> str | None:
    """The file name of a part that is an attachment, else None."""
    try:
        name, disposition = part.get_filename(), part.get_content_disposition()
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        name, disposition = None, "attachment"
    kind = part.get_content_type()
    if disposition == "attachment" or (name and not kind.startswith("text/")) or not kind.startswith("text/"):
        return " ".join((name or f"unnamed {kind}").split())[:200]
    return None


def attachments(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """File name, declared type and bytes of every attachment, those of messages inside the message too, in order.

    Left out: signatures, and pictures that belong to the text.
    """
    waiting: list[tuple[Message, int]] = [(BytesParser(policy=policy.default).parsebytes(data), 0)]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part, depth = waiting.pop()
        if part.is_multipart():
            inner = [each for each in part.get_payload() if isinstance(each, Message)] if depth < MAX_NESTED else []
            waiting.extend((each, depth + 1) for each in reversed(inner))
        elif (name := _attachment(part)) is not None and not _belongs_to_text(part):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                yield name, part.get_content_type(), content


def _belongs_to_text(part: Message) -> bool:
    kind = part.get_content_type()
    if kind.startswith(("application/pgp-", "application/pkcs7-", "application/x-pkcs7-")):
        return True
    shown_inside = kind.startswith("image/") and "Content-ID" in part
    return shown_inside and not _header(part, "Content-Disposition").lower().startswith("attachment")


def _body(part: Message) -> str:
    """A text part's words, in its own character set or, where that is unknown or wrong, in one that fits."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    charset = part.get_content_charset() or ""
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        decoded = decode(data)
        return decoded.text if decoded else data.decode("latin-1")
