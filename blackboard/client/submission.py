"""What is asked of an analysis, and how it travels: a file as a form, a text or an address as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

import orjson

from blackboard.client.calls import Call, Upload, json_body, path_of
from blackboard.client.idempotency import once
from blackboard.client.results import Board, board_of
from blackboard.errors import UsageError

Document = str | os.PathLike[str] | bytes
LISTS: Final = ("goal", "sources", "shadow")


class Options(TypedDict, total=False):
    """What is asked of an analysis; what is left out is as the service is set up."""

    goal: Sequence[str] | str
    """Levels to settle; all if empty."""
    sources: Sequence[str] | str
    """Sources that may work on it; all if empty."""
    shadow: Sequence[str] | str
    """Sources that write to the side space alone."""
    deadline_s: float
    """Seconds until the best there is is taken."""
    priority: Literal["interactive", "batch"]
    hold: Literal["", "review"]
    strategy: Mapping[str, Any]
    floor: Mapping[str, float]
    price: Mapping[str, float]
    budget: Mapping[str, float]
    models: str | Mapping[str, str]
    callback: str
    """An address that is told of this board's end."""


def submission(
    document: Document | None,
    *,
    text: str | None,
    url: str | None,
    filename: str | None,
    wait: float | None,
    idempotency_key: str | None,
    options: Mapping[str, Any],
) -> Call[Board]:
    """One of document, text and url. Raises UsageError.

    Every submission has an Idempotency-Key, drawn here if none is given, so that sending it again makes no second board.
    """
    if sum(given is not None for given in (document, text, url)) != 1:
        raise UsageError("exactly one of a document, a text and a URL can be submitted")
    headers = once(idempotency_key)
    if wait is not None:
        headers["prefer"] = f"wait={int(wait)}"
    asked = {name: value for name, value in options.items() if value is not None}
    upload = None
    body = None
    if document is not None:
        source = document if isinstance(document, bytes) else Path(document)
        name = filename if filename is not None else "" if isinstance(source, bytes) else source.name
        upload = Upload(source, name, {name: _field(name, value) for name, value in asked.items() if value != ""})
    else:
        given = {"text": text} if text is not None else {"url": url}
        named = {"filename": filename} if filename is not None else {}
        listed = {name: _list(value) if name in LISTS else value for name, value in asked.items()}
        body = json_body({**given, **named, **listed})
    return Call(
        "POST",
        path_of("documents"),
        lambda answer: board_of(answer.object()),
        headers=headers,
        body=body,
        upload=upload,
        noun="address",
        harmless=True,
        wait_s=wait or 0.0,
    )


def _list(value: Sequence[str] | str) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value
    return [word.strip() for word in words if word.strip()]


def _field(name: str, value: Any) -> str:
    """A member of a submission as a field of a form."""
    if name in LISTS:
        return ",".join(_list(value))
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return orjson.dumps(value).decode()
