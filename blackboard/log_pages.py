"""A log read page by page, up to a record that is known to be there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from blackboard.errors import BoardGone
from blackboard.events import LogRecord
from blackboard.ports import Store

PAGE: Final = 200


async def log_pages(
    store: Store, board: str, tip: tuple[int, int], after: tuple[int, int] = (0, 0)
) -> AsyncIterator[list[LogRecord]]:
    """Records behind `after`, up to and with `tip`; both are a revision and the number of a note behind it.

    Raises BoardGone where the board is erased meanwhile: a log that is cut must not look, or be kept, like a whole one.
    """
    while after < tip:
        records = await store.log(board, f"{after[0]}-{after[1]}", count=PAGE)
        if not records:
            raise BoardGone("the board was erased while its log was read")
        yield [record for record in records if (record.revision, record.n) <= tip]
        after = records[-1].revision, records[-1].n
