"""Entity tags and preconditions (RFC 9110, sections 8.8 and 13): strong tags that are version numbers."""

from __future__ import annotations

import re
from typing import Literal

from fastapi import Request

from controller.http.problems import Problem

TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
LIST = re.compile(rf"\s*(?:{TAG.pattern}\s*(?:,\s*|\Z))+\Z")
Tags = Literal["*"] | list[tuple[bool, str]]


def etag(version: int) -> str:
    """The strong tag of a version."""
    return f'"{version}"'


def _read(request: Request, name: str) -> Tags | None:
    """The tags of a header field as (weak, opaque tag), `*`, or None when it is absent. Raises Problem invalid-header."""
    lines = request.headers.getlist(name)
    if not lines:
        return None
    text = ",".join(lines).strip()
    if text == "*":
        return "*"
    if not LIST.match(text):
        raise Problem("invalid-header", f'`{name}` must be `*` or a list of entity tags such as "3".')
    return [(bool(weak), opaque) for weak, opaque in TAG.findall(text)]


def unchanged(request: Request, version: int) -> bool:
    """Whether a GET may be answered with 304: If-None-Match names this version (compared weakly)."""
    return unchanged_tag(request, str(version))


def unchanged_tag(request: Request, tag: str) -> bool:
    """The same for a tag that is no version."""
    tags = _read(request, "If-None-Match")
    return tags == "*" or (tags is not None and any(opaque == tag for _, opaque in tags))


def expected(request: Request) -> Literal["new", "any"] | list[int]:
    """What a write demands of the entry: that it is new, that there is any, or one of these versions (maybe none).

    Raises Problem: precondition-required without a condition, invalid-header for one that cannot be read or two that
    contradict each other.
    """
    match, none_match = _read(request, "If-Match"), _read(request, "If-None-Match")
    if match is None and none_match is None:
        raise Problem("precondition-required")
    if match is not None and none_match is not None:
        raise Problem("invalid-header", "Send either `If-Match` or `If-None-Match`, not both.")
    if none_match is not None:
        if none_match != "*":
            raise Problem("invalid-header", "On a write `If-None-Match` can only be `*`.")
        return "new"
    if match == "*" or match is None:
        return "any"
    # A weak tag never matches, and neither does what no version was ever tagged with.
    return [int(opaque) for weak, opaque in match if not weak and re.fullmatch(r"[1-9][0-9]{0,14}", opaque)]
