"""Whatever the OpenAPI document allows or forbids is answered as it says: made-up requests to every operation.

`BLACKBOARD_API_EXAMPLES` is how many for each; `make test-api` makes more of them, other ones every time, and chains them.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from redis import Redis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation

from blackboard.blobs import Blobs
from blackboard.embedded import Server
from blackboard.memory import MemoryStore
from controller.http.app import create_app
from controller.settings import Settings
from tests.integration.serving import Small
from tests.integration.standing import Place, standing

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
# Every bound of every member, on top of the examples: a quarter of the time, and hundreds of requests for one operation.
schema.config.phases.coverage.enabled = MANY


def settle(case: schemathesis.Case, place: Place) -> None:
    """Name a board that is there in most requests, drawn from the request itself; and have no answer wait for long."""
    if "wait" in str(case.headers.get("Prefer", "")):
        case.headers["Prefer"] = "wait=0"
    if case.path_parameters.get("board") is None or case.meta is None:
        return
    if (case.operation.method, case.operation.path) == ("delete", "/v1/boards/{board}"):
        return  # the others need it
    given = case.meta.components.get(ParameterLocation.PATH)
    drawn = zlib.crc32(repr((case.query, case.headers, case.body)).encode(errors="replace")) % 4
    if drawn and (given is None or not given.mode.is_negative):
        held = drawn == 3 and not is_stream(case)
        case.path_parameters["board"] = place.held if held else place.ended


def is_stream(case: schemathesis.Case) -> bool:
    """Whether the answer lasts as long as the board."""
    return "text/event-stream" in str(case.operation.definition.raw["responses"].get("200"))


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Place]:
    """A service for all of them, on an empty server."""
    with Redis.from_url(server.url) as client:
        client.flushall()
    with tempfile.TemporaryDirectory(prefix="bb-") as data, standing(server.url, Path(data)) as found:
        yield found


@schema.parametrize()
@PLAN
def test_operations(case: schemathesis.Case, place: Place) -> None:
    settle(case, place)
    headers = {"Authorization": f"Bearer {place.key}"}
    case.call_and_validate(base_url=place.base, headers=headers, timeout=TIMEOUT_S, excluded_checks=EXCLUDED)


@pytest.mark.long
def test_operations_one_after_the_other(place: Place) -> None:
    """What one answers is asked of the next: boards that were submitted, keys that were made, work that was claimed."""

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: schemathesis.Case) -> None:
            """Streams of boards under way are for others to test: they end when the board does."""
            if is_stream(case):
                case.path_parameters["board"] = place.ended

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            """Where, and with the key."""
            headers = {"Authorization": f"Bearer {place.key}"}
            return {"base_url": place.base, "headers": headers, "timeout": TIMEOUT_S}

        def validate_response(self, response: Any, case: schemathesis.Case, **more: Any) -> None:
            """All checks but what a schema cannot say."""
            case.validate_response(response, excluded_checks=EXCLUDED)

    Chain.run(settings=settings(PLAN, max_examples=EXAMPLES // 2, stateful_step_count=6))
