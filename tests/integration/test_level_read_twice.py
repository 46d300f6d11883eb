"""Several parameters may read one level: a source that does runs once, and reads every entry once."""

from __future__ import annotations

from pathlib import Path

from blackboard import All, Each, knowledge_source
from tests.fleet import Sheet, Total, Words, ended, promises, submit
from tests.integration.test_wakeups import service, sheets


async def test_a_level_read_by_several_parameters(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def one(sheet: Each[Sheet], sheets: All[Sheet]) -> Words:
        return Words(number=sheet.number, count=int("".join(str(other.number) for other in sheets)))

    @knowledge_source()
    async def all_of(words: All[Words], again: All[Words], sheets: All[Sheet]) -> Total:
        return Total(count=len(words) * 100 + len(again) * 10 + len(sheets))

    sources = (sheets, one, all_of)
    async with service(redis_url, tmp_path, *sources, roles="controller worker") as running:
        board = await submit(running.store, sources=sources)
        assert (await ended(running.store, board))["status"] == "completed"
        folded = await running.store.projection(board)
        assert folded is not None
        assert await promises(running.store, board) == {"sheets": 1, "one": 3, "all_of": 1}
        for number in range(1, 4):
            assert folded.values[f"words/000{number}"] == b'{"number":%d,"count":123}' % number
        assert folded.values["total/board-1"] == b'{"count":333}'
