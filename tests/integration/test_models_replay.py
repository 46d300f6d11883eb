"""A board that asked models, run again from its log: no call, and every entry comes out as it was."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from test_models_service import records, serving, submitted

from blackboard.board import Board
from blackboard.events import from_json
from controller.bootstrap.benches import open_rerun
from controller.rerun import digest_of_board
from tests.models import ModelServer

LETTER = "\f".join(
    f"Marlow Ltd paid {n * 1000} EUR to Tarrant Ltd on 3 March 2025. The delivery of part {n} took three days."
    for n in (1, 2, 3)
)


async def test_every_source_of_a_board_on_models_comes_to_the_same(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        board = await submitted(service, LETTER, models="always")
        assert (await service.end(board))["status"] == "completed"
        log = [from_json(orjson.dumps(record)) for record in await records(service, board)]
        asked = len(model_server.calls)
        # Whatever is set by now, nobody is asked.
        monkeypatch.setenv("BLACKBOARD_MODEL_BASE_URL", "http://127.0.0.1:9")
        store, blobs = service.service.store, service.service.blobs

        async def whole(folded: Board, key: str) -> bytes:
            return await store.resolve(folded.values[key])

        told: dict[str, list[str]] = {}
        asking = 0
        verdicts = []
        for source in service.service.sources:
            async with open_rerun(source, log, whole, blobs) as rerun:
                found = await rerun.over(board, log)
                verdicts += found
                for verdict in found:
                    told.setdefault(source.name, []).append(verdict.came)
                    assert verdict.came == "same", (source.name, verdict)
                    asking += source.cost == "model"
        assert {"layers", "report"} <= set(told) and asking > 3, told
        assert digest_of_board(verdicts, now=True) == digest_of_board(verdicts, now=False)
        assert len(model_server.calls) == asked > 3
