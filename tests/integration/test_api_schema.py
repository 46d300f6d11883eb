"""Whatever the OpenAPI document allows or forbids is answered as it says: made-up requests to every operation.

`BLACKBOARD_API_EXAMPLES` is how many for each; `make test-api` makes more of them, other ones every time, and chains them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

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


def _document() -> dict[str, object]:
    store = MemoryStore(Blobs.at("memory://"))
    return create_app(Small(store, store.blobs, Settings(_env_file=None))).openapi()  # type: ignore[call-arg]


schema = schemathesis.openapi.from_dict(_document())


@pytest.fixture(scope="module")
def service(server: Server) -> Iterator[tuple[str, str]]:
    """The address of a whole service in a thread of its own, and a key for everything."""
    started: Future[tuple[str, str]] = Future()
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def serve(data: Path) -> None:
        async with door(server.url, data, *V1, roles="controller worker", limit_requests_per_minute=0) as found:
            keyring = found.service.keyring
            _, key = await keyring.create("admin", tenant="default", scopes=sorted(SCOPES), by="person:admin")
            started.set_result((found.base, key))
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
def test_operations(case: schemathesis.Case, service: tuple[str, str]) -> None:
    base, key = service
    headers = {"Authorization": f"Bearer {key}"}
    case.call_and_validate(base_url=base, headers=headers, timeout=TIMEOUT_S, excluded_checks=EXCLUDED)
