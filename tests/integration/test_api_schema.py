"""Whatever the OpenAPI document allows or forbids is answered as it says: made-up requests to every operation.

`BLACKBOARD_API_EXAMPLES` is how many for each; `make test-api` makes more of them, other ones every time, and chains them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation

from blackboard.blobs import Blobs
from blackboard.embedded import Server
from blackboard.memory import MemoryStore
from controller.access import SCOPES
from controller.http.app import create_app
from controller.settings import Settings
from tests.integration.doors import V1, door
from tests.integration.serving import Small

load_all_checks()
EXAMPLES = int(os.environ.get("BLACKBOARD_API_EXAMPLES", "50"))
MANY = EXAMPLES > 50
TIMEOUT_S = 15
EXCLUDED: list[Any] = [CHECKS.get_one("positive_data_acceptance")]
"""What a schema cannot say is refused too: what goes with what, and what must be there already."""
PLAN = settings(
    max_examples=EXAMPLES,
    derandomize=not MANY,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if MANY else [])],
    suppress_health_check=list(HealthCheck),
)


def _document() -> dict[str, Any]:
    """What keys may do has tests of its own: here every request carries one for everything."""
    store = MemoryStore(Blobs.at("memory://"))
    document = create_app(Small(store, store.blobs, Settings(_env_file=None))).openapi()  # type: ignore[call-arg]
    for path, operation in [(path, one) for path, each in document["paths"].items() for one in each.values()]:
        operation.pop("security", None)
        for content in [
            content for one in operation["responses"].values() for content in one.get("content", {}).values()
        ]:
            if "x-itemSchema" in content:
                # What OpenAPI 3.1 cannot say of a stream and 3.2 can is understood here already.
                content["itemSchema"] = content.pop("x-itemSchema")
                del content["schema"]
        if "text/event-stream" in str(operation["responses"].get("200")) and "{board}" not in path:
            operation["deprecated"] = True  # it has no end
    return document


schema = schemathesis.openapi.from_dict(_document()).exclude(deprecated=True)


@dataclass(frozen=True)
class Place:
    """A whole service: its address, a key for everything, a board that has ended and one that is held for review."""

    base: str
    key: str
    ended: str
    held: str

    def settle(self, case: schemathesis.Case) -> None:
        """Name a board that is there in most requests; which of them is drawn from the request itself."""
        if case.path_parameters.get("board") is None or case.meta is None:
            return
        place = case.meta.components.get(ParameterLocation.PATH)
        drawn = zlib.crc32(repr((case.query, case.headers, case.body)).encode(errors="replace")) % 4
        if drawn and (place is None or not place.mode.is_negative):
            streams = "text/event-stream" in str(case.operation.definition.raw["responses"].get("200"))
            case.path_parameters["board"] = self.held if drawn == 3 and not streams else self.ended


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Place]:
    """In a thread of its own."""
    started: Future[Place] = Future()
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def serve(data: Path) -> None:
        more = {"roles": "controller worker", "limit_requests_per_minute": 0}
        async with door(server.url, data, *V1, **more) as found:  # type: ignore[arg-type]
            ended, held = await found.submit(), await found.submit(hold="review")
            await found.ended(ended)
            keyring = found.service.keyring
            _, key = await keyring.create("admin", tenant="default", scopes=sorted(SCOPES), by="person:admin")
            started.set_result(Place(found.base, key, ended, held))
            await ending.wait()

    with tempfile.TemporaryDirectory(prefix="bb-") as data:
        running = threading.Thread(target=lambda: loop.run_until_complete(serve(Path(data))), daemon=True)
        running.start()
        yield started.result(20)
        loop.call_soon_threadsafe(ending.set)
        running.join(20)
        loop.close()


@schema.parametrize()
@PLAN
def test_operations(case: schemathesis.Case, place: Place) -> None:
    place.settle(case)
    headers = {"Authorization": f"Bearer {place.key}"}
    case.call_and_validate(base_url=place.base, headers=headers, timeout=TIMEOUT_S, excluded_checks=EXCLUDED)
