"""Documents that lie at an address: fetched through the one checked way out, into the blob store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from typing import Final
from urllib.parse import unquote, urlsplit

from blackboard.blobs import Blobs
from blackboard.contract import Progress
from blackboard.egress import Answer, Egress, EgressFailed, EgressTooLarge
from blackboard.errors import (
    AddressRefused,
    DocumentTooComplex,
    PermanentFailure,
    TransientFailure,
    UrlNotAllowed,
)
from blackboard.filenames import plain_filename

AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be another one in a while."""
HEADERS: Final = {"user-agent": "blackboard", "accept": "*/*"}
LONGEST_TYPE: Final = 255


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A document in the blob store. `media_type`: as its server claims."""

    sha256: str
    size: int
    filename: str | None
    media_type: str | None


class Downloads:
    """`most_bytes`: of one document; `timeout_s`: for all of one exchange."""

    def __init__(self, egress: Egress, blobs: Blobs, *, most_bytes: int, timeout_s: float) -> None:
        self._egress, self._blobs = egress, blobs
        self._most, self._timeout_s = most_bytes, timeout_s

    async def get(self, url: str, progress: Progress | None = None) -> Downloaded:
        """Fetch the document. Raises AddressRefused, DocumentTooComplex, PermanentFailure and TransientFailure."""
        try:
            async with self._egress.request("GET", url, headers=HEADERS, timeout_s=self._timeout_s) as answer:
                announced = _check(answer)
                if announced > self._most:
                    raise self._too_large()
                chunks = _telling(answer.chunks(self._most), announced, progress)
                sha256, size = await self._blobs.put_stream(chunks, self._most)
                return Downloaded(sha256, size, _filename(answer, url), _media_type(answer))
        except UrlNotAllowed as error:
            raise AddressRefused(
                str(error), hint=error.hint or "submit a public https address, or the file itself"
            ) from None
        except EgressTooLarge:
            raise self._too_large() from None
        except EgressFailed as error:
            raise TransientFailure(f"the document could not be fetched: {error}") from None

    def _too_large(self) -> DocumentTooComplex:
        return DocumentTooComplex(
            f"the document at this address has more than {self._most / 1e6:.1f} MB, which is the limit",
            hint="submit a smaller file, or raise BLACKBOARD_MAX_UPLOAD_BYTES",
        )


def _check(answer: Answer) -> int:
    """The announced size, 0 where there is none. Raises for an answer that is no document."""
    status = answer.status
    if 300 <= status < 400:
        raise AddressRefused(
            "the address leads on to another one, which is not followed", hint="submit the address it leads to"
        )
    if status in AGAIN:
        raise TransientFailure(f"the document could not be fetched: its server answered {status}")
    if status != 200:
        raise PermanentFailure(
            f"the document could not be fetched: its server answered {status}", hint="is the address right, and public?"
        )
    announced = answer.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() and len(announced) < 20 else 0


async def _telling(chunks: AsyncIterator[bytes], announced: int, progress: Progress | None) -> AsyncIterator[bytes]:
    done = 0
    async for chunk in chunks:
        done += len(chunk)
        if progress is not None:
            progress(done, max(done, announced), "bytes")
        yield chunk


def _filename(answer: Answer, url: str) -> str | None:
    """What the server calls it, else the last part of the path."""
    named = _disposition(answer.headers.get("content-disposition", ""))
    for name in (named, unquote(urlsplit(url).path.rpartition("/")[2])):
        plain = plain_filename(name)
        if plain is not None and ".." not in plain:
            return plain
    return None


def _disposition(value: str) -> str | None:
    message = Message()
    try:
        message["content-disposition"] = value
        return message.get_filename()
    except (MessageError, ValueError, LookupError, UnicodeError):
        return None  # what a stranger's server says may be anything


def _media_type(answer: Answer) -> str | None:
    declared = answer.headers.get("content-type", "").strip()[:LONGEST_TYPE]
    return declared if declared and declared.isprintable() else None
