"""XML from strangers: no document type, so no entity of any kind."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NoReturn
from xml.parsers import expat

from blackboard.errors import DocumentUnsafe


class _RootSeen(Exception):
    """The prolog is over: a document type can only stand before the root element."""


def forbid_document_type(data: bytes) -> None:
    """Raises DocumentUnsafe if the XML declares a document type, in whatever encoding."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = _root
    try:
        parser.Parse(data, True)
    except _RootSeen:
        return
    except expat.ExpatError:
        # Not well-formed before its root: the caller's parser will say so.
        return


def _doctype(*_: object) -> NoReturn:
    raise DocumentUnsafe(
        "this document's XML declares a document type (DTD), which can pull in files or grow without bound",
        hint="open it in its program, save it again and submit that",
    )


def _root(*_: object) -> NoReturn:
    raise _RootSeen


def parse(data: bytes) -> ET.Element:
    """The root element. Raises DocumentUnsafe, or xml.etree.ElementTree.ParseError."""
    forbid_document_type(data)
    return ET.fromstring(data)  # noqa: S314 - without a document type there is nothing to expand


def local(tag: object) -> str:
    """An element's name without its namespace; "" for comments and instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
