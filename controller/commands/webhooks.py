"""`webhooks`: who is told of boards, what was delivered, and delivering it again; over a service's HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from controller.commands import console
from controller.commands.options import DEFAULT_URL, ApiKey, Data, Json, Listing, Url, client_at, settings_from, words

if TYPE_CHECKING:
    from blackboard.client import Delivery, Webhook

app = typer.Typer(
    help="Webhooks: who is told of boards, what was delivered, and delivering it again.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="A webhook's id; `callbacks` for those given with boards.")]
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
def list_webhooks(as_json: Listing = None, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """List webhooks."""
    with client_at(url, api_key) as client:
        found = list(client.webhooks.list())
    if as_json:
        console.out_json({"items": [each.raw for each in found]})
        return
    if not console.as_table(as_json):
        console.out_lines(each.raw for each in found)
        return
    rows = [(each.id, each.url or "", _state(each), ",".join(each.events)) for each in found]
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
    with client_at(url, api_key) as client:
        made = client.webhooks.create(address, events=words(events), description=description, secret=secret or None)
    _tell(made, as_json)


@app.command()
def rotate(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Take another secret; for a day messages carry the signature of the old one, too."""
    with client_at(url, api_key) as client:
        _tell(client.webhooks.rotate(id), as_json)


@app.command()
def enable(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send to it again."""
    with client_at(url, api_key) as client:
        _print(client.webhooks.change(id, enabled=True), as_json)


@app.command()
def disable(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send nothing more to it."""
    with client_at(url, api_key) as client:
        _print(client.webhooks.change(id, enabled=False), as_json)


@app.command()
def delete(id: Id, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Remove a webhook with its deliveries."""
    with client_at(url, api_key) as client:
        client.webhooks.delete(id)
    console.out(id)


@app.command()
def test(id: Id, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Send a test and wait for what comes of it; exit 1 when the receiver did not take it."""
    import time

    until = time.monotonic() + PATIENCE_S
    with client_at(url, api_key) as client:
        found = client.webhooks.test(id)
        while found.status == "pending":
            if time.monotonic() > until:
                console.say(f"{found.id} has not been tried yet: does a controller run?")
                raise typer.Exit(console.TIMED_OUT)
            time.sleep(0.2)
            found = client.webhooks.delivery(id, found.id)
    console.out_json(found.raw) if as_json else console.out(found.id)
    console.say(_line(found)[-1])
    raise typer.Exit(console.DONE if found.status == "delivered" else console.BOARD_FAILED)


@app.command()
def deliveries(
    id: Id,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest.")] = 20,
    as_json: Listing = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """List what was delivered, or was to be, newest first."""
    from itertools import islice

    with client_at(url, api_key) as client:
        found = list(islice(client.webhooks.deliveries(id, page=min(200, limit)), limit))
    if as_json:
        console.out_json({"items": [each.raw for each in found]})
        return
    if not console.as_table(as_json):
        console.out_lines(each.raw for each in found)
        return
    header = ("delivery", "made (UTC)", "event", "board", "status", "attempts")
    console.out(console.columns([_line(each) for each in found], header=header))


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
    with client_at(url, api_key) as client:
        count = client.webhooks.redeliver(id, delivery=delivery or None, since=_millis(since) if since else None)
    console.out_json({"redelivered": count}) if as_json else console.out(str(count))


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
        return await seal_anew(service.webhooks.store, service.webhooks.sealer)


def _tell(webhook: Webhook, as_json: bool) -> None:
    """A webhook with its secret, which goes to stdout alone, for whoever keeps it."""
    if as_json:
        console.out_json(webhook.raw)
        return
    console.out(webhook.id)
    console.say(SECRET)
    console.out(webhook.secret)


def _print(webhook: Webhook, as_json: bool) -> None:
    console.out_json(webhook.raw) if as_json else console.out(webhook.id)
    console.say(_state(webhook))


def _state(webhook: Webhook) -> str:
    if not webhook.enabled:
        return f"disabled: {webhook.reason}" if webhook.reason else "disabled"
    if webhook.failing_since:
        return f"failing since {_time(webhook.failing_since)}"
    return f"delivered {_time(webhook.last_delivered)}" if webhook.last_delivered else "enabled"


def _line(delivery: Delivery) -> tuple[str, ...]:
    words = [
        f"{each['status']} {each['error']}"
        if each["status"] and each["error"]
        else str(each["status"] or each["error"])
        for each in delivery.attempts
    ]
    after = f", next {_time(delivery.next_attempt)}" if delivery.next_attempt else ""
    tried = ", ".join(words) + after
    return delivery.id, _time(delivery.created), delivery.type, delivery.board or "-", delivery.status, tried


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _millis(text: str) -> int:
    from blackboard.errors import UsageError

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text}: it is not a time", hint="like 2026-11-21T08:00, in UTC") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
