"""`python -m tests.models --port 0`: the server as a process of its own. Its first line of output is its address.

Other processes steer it over HTTP:

    GET    /_calls                 every call so far, as JSON;  /_counts those of count_tokens
    GET    /_state                 {"calls", "under_way", "most_under_way", "connections"}
    POST   /_script [fault, ...]   what the next calls meet; a fault is a name, null, or an object of Fault's fields
    PUT    /_always fault          what calls meet from then on
    DELETE /_calls                 forget everything
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from tests.models.faults import Fault
from tests.models.quota import Quota
from tests.models.server import ModelServer, Settings


def fault_of(given: Any) -> str | Fault | None:
    """A fault as JSON names it."""
    return Fault(**given) if isinstance(given, dict) else given


def steered(server: ModelServer) -> FastAPI:
    """The routes that other processes steer it by."""
    app = FastAPI(openapi_url=None)

    def shown(value: Any) -> Response:
        return Response(orjson.dumps(value), media_type="application/json")

    @app.get("/_calls")
    async def calls() -> Response:
        return shown([call.shown() for call in server.calls])

    @app.get("/_counts")
    async def counts() -> Response:
        return shown([call.shown() for call in server.counts])

    @app.get("/_state")
    async def state() -> Response:
        return shown({
            "calls": len(server.calls), "under_way": server.under_way, "most_under_way": server.most_under_way,
            "connections": server.connections,
        })  # fmt: skip

    @app.post("/_script")
    async def script(request: Request) -> Response:
        server.script(*(fault_of(one) for one in orjson.loads(await request.body())))
        return shown("ok")

    @app.put("/_always")
    async def always(request: Request) -> Response:
        server.always(fault_of(orjson.loads(await request.body())))
        return shown("ok")

    @app.delete("/_calls")
    async def forget() -> Response:
        server.forget()
        return shown("ok")

    return app


async def main() -> None:
    """Run until SIGINT or SIGTERM."""
    options = argparse.ArgumentParser(prog="python -m tests.models", description="A server that speaks Messages.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--latency", type=float, default=0.0, help="seconds that an answer takes")
    for name in ("requests", "input", "output"):
        options.add_argument(f"--{name}", type=int, default=getattr(Quota(), name), help="a minute; 0: no limit")
    options.add_argument("--lenient", action="store_true", help="tell of the limits, and enforce none")
    given = options.parse_args()
    quota = Quota(given.requests, given.input, given.output, enforced=not given.lenient)
    server = ModelServer(Settings(quota=quota, latency_s=given.latency))
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    running = asyncio.create_task(server.run(given.port, ready, extra=steered(server)))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    await running


if __name__ == "__main__":
    asyncio.run(main())
