"""`webhooks`: who is told of boards, what was delivered, and delivering it again; over a service's HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import DEFAULT_URL, Data, Json, Url, settings_from, words

app = typer.Typer(
    help="Webhooks: who is told of boards, what was delivered, and delivering it again.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="A webhook's id; `callbacks` for those given with boards.")]
ApiKey = Annotated[
    str,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="BLACKBOARD_API_KEY",
        help="The key to show it, with the scope admin.",
        show_default=False,
    ),
]
EventNames = Annotated[
    str,
    typer.Option(
        "--events",
        metavar="NAMES",
        help="board.completed, board.failed, board.cancelled, board.created; all but the last if left out.",
        show_default=False,
    ),
]
PATIENCE_S = 30.0
SECRET = "the secret, shown this once:"  # noqa: S105


@app.command("list")
def list_webhooks(as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """List webhooks."""
    found = _ask(url, api_key, "GET", "/v1/webhooks")
    if as_json:
        console.out_json(found)
        return
    rows = [(each["id"], each["url"], _state(each), ",".join(each["events"])) for each in found["items"]]
    console.out(console.columns(rows, header=("webhook", "address", "state", "events")))


@app.command()
def create(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to send: a public https address.")],
    events: EventNames = "",
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret", envvar="BLACKBOARD_WEBHOOK_SECRET", metavar="whsec_...", help="A secret of your own.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:  # fmt: skip
    """Make a webhook: its id and its secret on stdout. The secret is not shown again."""
    body = {"url": address, "events": list(words(events)), "description": description}
    _tell(_ask(url, api_key, "POST", "/v1/webhooks", {**body, **({"secret": secret} if secret else {})}), as_json)


@app.command()
def rotate(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Take another secret; for a day messages carry the signature of the old one, too."""
    _tell(_ask(url, api_key, "POST", f"/v1/webhooks/{_part(id)}/rotate"), as_json)


@app.command()
def enable(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send to it again."""
    _print(_ask(url, api_key, "PATCH", f"/v1/webhooks/{_part(id)}", {"enabled": True}), as_json)


@app.command()
def disable(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send nothing more to it."""
    _print(_ask(url, api_key, "PATCH", f"/v1/webhooks/{_part(id)}", {"enabled": False}), as_json)


@app.command()
def delete(id: Id, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Remove a webhook with its deliveries."""
    _ask(url, api_key, "DELETE", f"/v1/webhooks/{_part(id)}")
    console.out(id)


@app.command()
def test(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send a test and wait for what comes of it; exit 1 when the receiver did not take it."""
    import time

    found = _ask(url, api_key, "POST", f"/v1/webhooks/{_part(id)}/test")
    until = time.monotonic() + PATIENCE_S
    while found["status"] == "pending":
        if time.monotonic() > until:
            console.say(f"{found['id']} has not been tried yet: does a controller run?")
            raise typer.Exit(console.TIMED_OUT)
        time.sleep(0.2)
        found = _ask(url, api_key, "GET", found["links"]["self"])
    console.out_json(found) if as_json else console.out(found["id"])
    console.say(_line(found)[-1])
    raise typer.Exit(console.DONE if found["status"] == "delivered" else console.BOARD_FAILED)


@app.command()
def deliveries(
    id: Id,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """List what was delivered, or was to be, newest first."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while len(items) < limit:
        more = f"&cursor={cursor}" if cursor else ""
        path = f"/v1/webhooks/{_part(id)}/deliveries?limit={min(200, limit - len(items))}{more}"
        page = _ask(url, api_key, "GET", path)
        items += page["items"]
        cursor = page["next_cursor"] or ""
        if not cursor:
            break
    if as_json:
        console.out_json({"items": items, "next_cursor": cursor or None})
        return
    header = ("delivery", "made (UTC)", "event", "board", "status", "attempts")
    console.out(console.columns([_line(each) for each in items], header=header))


@app.command()
def redeliver(
    id: Id,
    delivery: Annotated[str, typer.Argument(metavar="[DELIVERY]", help="One; or give --since.")] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Everything that failed and was made since, like 2026-11-21T08:00 (UTC).",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:  # fmt: skip
    """Deliver again, under the same webhook-id; how many on stdout."""
    from blackboard.errors import UsageError

    if bool(delivery) == bool(since):
        raise UsageError("give either a delivery or --since")
    body = {"delivery": delivery} if delivery else {"since": _millis(since)}
    found = _ask(url, api_key, "POST", f"/v1/webhooks/{_part(id)}/redeliver", body)
    console.out_json(found) if as_json else console.out(str(found["redelivered"]))


@app.command()
def reseal(data: Data = None) -> None:
    """Seal all secrets under the first of the keys in BLACKBOARD_SECRET_KEY, so that the others can be dropped.

    For operators: it works on the server itself, not over HTTP.
    """
    changed, fine = console.run(_reseal(data))
    console.out(str(changed))
    console.say(f"{changed} sealed anew, {fine} were so already")


async def _reseal(data: Data) -> tuple[int, int]:
    from controller.bootstrap import open_service
    from controller.webhooks.registry import reseal as seal_anew

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        return await seal_anew(service.hooks, service.sealer)


def _ask(url: str, api_key: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """One request. Raises the error that a problem stands for."""
    import httpx2
    import orjson

    from blackboard.errors import StorageUnavailable, UsageError

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is not a service's address", hint="like http://127.0.0.1:8000")
    headers = {"user-agent": "blackboard-cli", **({"authorization": f"Bearer {api_key}"} if api_key else {})}
    more = {} if body is None else {"json": body}
    try:
        answer = httpx2.request(method, url.rstrip("/") + path, headers=headers, timeout=PATIENCE_S, **more)
    except httpx2.TransportError as error:
        raise StorageUnavailable(
            f"no service answers at {url}: {str(error) or type(error).__name__}",
            hint="start one with `blackboard up`, or name another with --url (or BLACKBOARD_URL)",
        ) from error
    try:
        found = orjson.loads(answer.content or b"{}")
    except orjson.JSONDecodeError:
        found = {}
    if answer.status_code < 400:
        return dict(found)
    said = "; ".join(f"{each['pointer']}: {each['detail']}" for each in found.get("errors", ()))
    said = said or str(found.get("detail") or f"the service answered {answer.status_code}")
    raise (StorageUnavailable if answer.status_code >= 500 else UsageError)(said)


def _part(id: str) -> str:
    from urllib.parse import quote

    return quote(id, safe="")


def _tell(webhook: dict[str, Any], as_json: bool) -> None:
    """A webhook with its secret, which goes to stdout alone, for whoever keeps it."""
    if as_json:
        console.out_json(webhook)
        return
    console.out(webhook["id"])
    console.say(SECRET)
    console.out(webhook["secret"])


def _print(webhook: dict[str, Any], as_json: bool) -> None:
    console.out_json(webhook) if as_json else console.out(webhook["id"])
    console.say(_state(webhook))


def _state(webhook: dict[str, Any]) -> str:
    if not webhook["enabled"]:
        return f"disabled: {webhook['reason']}" if webhook.get("reason") else "disabled"
    if since := webhook.get("failing_since"):
        return f"failing since {_time(since)}"
    return f"delivered {_time(webhook['last_delivered'])}" if webhook.get("last_delivered") else "enabled"


def _line(delivery: dict[str, Any]) -> tuple[str, ...]:
    words = [
        f"{each['status']} {each['error']}"
        if each["status"] and each["error"]
        else str(each["status"] or each["error"])
        for each in delivery["attempts"]
    ]
    after = f", next {_time(delivery['next_attempt'])}" if delivery["next_attempt"] else ""
    board, tried = delivery["board"] or "-", ", ".join(words) + after
    return delivery["id"], _time(delivery["created"]), delivery["type"], board, delivery["status"], tried


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _millis(text: str) -> int:
    from blackboard.errors import UsageError

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text}: it is not a time", hint="like 2026-11-21T08:00, in UTC") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
