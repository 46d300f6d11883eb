"""Health and metrics on a port of their own: for processes without HTTP otherwise, and for a Prometheus without a key."""

from __future__ import annotations

from fastapi import FastAPI

from blackboard import __version__
from controller.http import health
from controller.http.access_log import AccessLog
from controller.http.door import Api
from controller.http.problems import install


def create_aside(process: Api, *, serves: bool) -> FastAPI:
    """/livez, /readyz and /metrics of a running process; nobody is asked for a key. `serves`: it takes documents, too."""
    app = FastAPI(
        title="Blackboard: health and metrics",
        version=__version__,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.api, app.state.serves = process, serves
    app.router.routes.extend(health.router.routes)
    install(app)
    process.metrics.start()
    app.add_middleware(AccessLog, requests=process.metrics.measures.requests)
    return app
