"""Names of files that others chose: shown to people, and never used as a path."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd\ud800-\udfff]")


def plain_filename(filename: str | None) -> str | None:
    """A file's name without folders and control characters, at most 255 bytes; None for none."""
    if filename is None:
        return None
    last = CONTROL.sub("", filename.replace("\\", "/").rpartition("/")[2]).strip()
    return last.encode()[:255].decode(errors="ignore") or None
