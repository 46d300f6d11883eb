"""The side space over HTTP: what sources that run as shadows would have said, and how it differs from what stands."""

from __future__ import annotations

from typing import Any

from blackboard.board import Board
from blackboard.entries import SOURCE, Header, is_shadow, level_of, shadow_parts
from blackboard.ports import Store
from controller.http.contents import resolved
from controller.http.door import Parameter, ecma, flag, words
from controller.views import entry_view


def _space(text: str) -> str:
    if text != "shadow":
        raise ValueError("must be shadow")
    return text


SPACE = Parameter(
    "space", _space, "", {"type": "string", "enum": ["shadow"]}, "The side space that only shadows write to."
)
OF_SOURCE = Parameter(
    "source",
    words(SOURCE, "a source's name"),
    "",
    {"type": "string", "pattern": ecma(SOURCE)},
    "In the side space: only this shadow's.",
)
DIFF = flag("diff", "In the side space: say of each entry how it compares with the one that stands on the board.")


async def shadow_entries(store: Store, board: Board, *, level: str, source: str, diff: bool) -> dict[str, Any]:
    """`items`: live entries of the side space under the keys that they would have had; with `diff` also `missing`, what
    the same sources contributed to the board proper and their shadows did not.
    """
    found = [(*shadow_parts(key), key) for key in sorted(board.values) if is_shadow(key)]
    rows = [row for row in found if source in ("", row[0]) and level in ("", level_of(row[1]))]
    values = await resolved(store, (board.values[key] for *_, key in rows))
    items = []
    for (name, real, key), value in zip(rows, values, strict=True):
        header = Header.parse(board.entries[key])
        shown = {**entry_view(real, header, value), "space": "shadow", "source": name}
        items.append({**shown, "against": _against(board, real, header)} if diff else shown)
    if not diff:
        return {"items": items}
    theirs = {(name, real) for name, real, _ in found}
    shadows = {name for name, _, _ in found}
    missing = [
        key
        for key, header in ((key, Header.parse(board.entries[key])) for key in sorted(board.values))
        if header.owner in shadows
        and (header.owner, key) not in theirs
        and source in ("", header.owner)
        and level in ("", level_of(key))
    ]
    return {"items": items, "missing": missing}


def _against(board: Board, key: str, shadow: Header) -> str:
    there = board.header(key)
    if there is None or not there.live:
        return "absent"
    return "same" if there.digest == shadow.digest else "different"


async def shadow_of(store: Store, board: str, key: str, source: str) -> str:
    """The shadow to ask for a key: that source's, or of all the first that would have put it; "" when there is none."""
    if source:
        return source
    found = await store.projection(board)
    keys = sorted(found.values) if found else []
    names = (shadow_parts(there)[0] for there in keys if is_shadow(there) and shadow_parts(there)[1] == key)
    return next(names, "")
