"""`blackboard health`: one look at a running process, for whoever restarts containers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

UNREADY, UNREACHABLE, LATE = 1, 3, 4


def health(
    url: Annotated[
        str,
        typer.Option(
            "--url",
            metavar="URL",
            help="The process's address; otherwise this machine, BLACKBOARD_METRICS_PORT if it is set, else BLACKBOARD_PORT.",
            show_default=False,
        ),
    ] = "",
    live: Annotated[bool, typer.Option("--live", help="Only ask whether it lives.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1)] = 4.0,
    as_json: Json = False,
) -> None:
    """Ask a process whether it is ready. Exit codes: 0 ready, 1 not ready, 3 unreachable, 4 no answer in time."""
    address = (url or _own_address()).rstrip("/") + ("/livez" if live else "/readyz")
    status, found = _ask(address, timeout)
    if as_json:
        import json

        console.out(json.dumps(found))
    for name, check in found.get("checks", {}).items():
        if not check["ok"]:
            more = {word: told for word, told in check.items() if word not in ("ok", "ms", "error", "advisory")}
            kind = "only said" if check.get("advisory") else "failed"
            console.say(f"{name} {kind}: {check.get('error', '')}{f' {more}' if more else ''}")
    if status != 200:
        console.say(f"{address} says {found.get('status', status)}")
        raise typer.Exit(UNREADY)
    if not as_json:
        console.say(str(found.get("status", "ok")))


def _own_address() -> str:
    port = os.environ.get("BLACKBOARD_METRICS_PORT") or os.environ.get("BLACKBOARD_PORT") or "8000"
    return f"http://127.0.0.1:{port}"


def _ask(address: str, timeout: float) -> tuple[int, Mapping[str, Any]]:
    # The standard library's client: a check that runs every few seconds is not to import half a second of another.
    import json
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, build_opener

    from blackboard.errors import UsageError

    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address} is no address", hint="http://host:port")
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=timeout) as answer:
            status, text = answer.status, answer.read(1 << 20)
    except HTTPError as error:
        status, text = error.code, error.read(1 << 20)
    except (URLError, OSError) as error:
        late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        console.say(f"{address}: {'no answer in time' if late else 'nobody listens'}")
        raise typer.Exit(LATE if late else UNREACHABLE) from None
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    return status, found if isinstance(found, dict) else {}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(health)
