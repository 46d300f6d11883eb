"""`keys create|list|rotate|revoke`: API keys, straight on the server that boards are kept on: for operators."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import Data, Json, Listing, settings_from, words

if TYPE_CHECKING:
    from controller.credentials import Key
    from controller.keyring import Keyring

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Make, list, rotate and revoke API keys.")

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SPAN = re.compile(r"([0-9]{1,9})([smhd])\Z", re.ASCII)
HEADER = ("id", "name", "tenant", "scopes", "status", "created (UTC)", "expires (UTC)", "last used (UTC)", "a minute")

Which = Annotated[str, typer.Argument(metavar="ID|NAME", help="The key's id, or its name.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose it is.")]
MaybeTenant = Annotated[
    str, typer.Option("--tenant", metavar="NAME", help="This tenant's; all if left out.", show_default=False)
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it contributes carries `person:NAME`.")],
    tenant: Tenant = "default",
    scopes: Annotated[
        str, typer.Option("--scopes", metavar="NAMES", help="read, submit, contribute, admin, operate; or all.")
    ] = "read,submit,contribute",
    expires: Annotated[
        str,
        typer.Option("--expires", metavar="SPAN", help="Like 90d, 12h, 30m; never if left out.", show_default=False),
    ] = "",
    rate: Annotated[
        int | None,
        typer.Option(
            "--requests-per-minute", metavar="N", min=0, help="Instead of what is set for all; 0: any number."
        ),
    ] = None,
    streams: Annotated[
        int | None, typer.Option("--streams", metavar="N", min=0, help="Open at a time, the same way.")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Make a key. It is printed this once, on stdout; from the first one on the service asks for keys."""
    console.run(_create(name, tenant, scopes, expires, as_json, data, rate=rate, streams=streams))


@app.command(name="list")
def list_keys(tenant: MaybeTenant = "", as_json: Listing = None, data: Data = None) -> None:
    """List keys, those that ended within the last 30 days among them."""
    console.run(_list(tenant, as_json, data))


@app.command()
def rotate(
    which: Which,
    tenant: MaybeTenant = "",
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="SPAN", help="How long the old secret stays good; 0s: not at all.")
    ] = "24h",
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Give a key another secret, printed this once on stdout. Id and name stay."""
    console.run(_rotate(which, tenant, overlap, as_json, data))


@app.command()
def revoke(which: Which, tenant: MaybeTenant = "", as_json: Json = False, data: Data = None) -> None:
    """End a key at once."""
    console.run(_revoke(which, tenant, as_json, data))


def seconds(text: str, option: str) -> float:
    """`90d` in seconds. Raises UsageError."""
    from blackboard.errors import UsageError

    found = SPAN.match(text)
    if found is None:
        raise UsageError(f"{option} {text}: it must be a number and s, m, h or d", hint="like 90d, 12h or 30m")
    return float(int(found[1]) * UNITS[found[2]])


@asynccontextmanager
async def _keyring(data: Path | None) -> AsyncIterator[Keyring]:
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        await service.keyring.verify()
        yield service.keyring


async def _create(
    name: str, tenant: str, scopes: str, expires: str, as_json: bool, data: Data, **limits: int | None
) -> None:
    from controller.credentials import ORDER

    chosen = ORDER if scopes == "all" else words(scopes)
    lasts = seconds(expires, "--expires") if expires else None
    async with _keyring(data) as keyring:
        first = not await keyring.asked()
        key, secret = await keyring.create(name, tenant=tenant, scopes=chosen, by="cli", expires_s=lasts, **limits)
    _tell(key, secret, key.created, as_json)
    if first:
        console.say("it is the first key: from now on every request to this service needs one")


async def _list(tenant: str, as_json: bool | None, data: Data) -> None:
    async with _keyring(data) as keyring:
        found, now, asked = await keyring.all(tenant), await keyring.now(), await keyring.asked()
    shown = [key.show(now) for key in found]
    if as_json:
        console.out_json({"items": shown})
    elif shown and not console.as_table(as_json):
        console.out_lines(shown)
    elif shown:
        console.out(console.columns([_row(each) for each in shown], header=HEADER))
    else:
        console.say(
            "there is no key"
            if asked
            else "there is no key yet: whoever reaches the service from this machine may do everything"
        )


async def _rotate(which: str, tenant: str, overlap: str, as_json: bool, data: Data) -> None:
    lasts = seconds(overlap, "--overlap")
    async with _keyring(data) as keyring:
        key, secret = await keyring.rotate((await _one(keyring, which, tenant)).id, overlap_s=lasts)
    _tell(key, secret, key.rotated, as_json)
    if lasts:
        console.say(f"the old one stays good until {_at(key.older_until)} UTC")


async def _revoke(which: str, tenant: str, as_json: bool, data: Data) -> None:
    async with _keyring(data) as keyring:
        key = await keyring.revoke((await _one(keyring, which, tenant)).id)
        now = await keyring.now()
    if as_json:
        console.out_json(key.show(now))
    else:
        console.say(f"the key {key.name} ({key.id}) of tenant {key.tenant} opens nothing any more")


async def _one(keyring: Keyring, which: str, tenant: str) -> Key:
    """By its id; else the one that has the name, as long as that is clear. Raises UsageError."""
    from blackboard.errors import UsageError

    found = [key for key in await keyring.all(tenant) if which in (key.id, key.name)]
    now = await keyring.now()
    chosen = [key for key in found if key.id == which] or [key for key in found if key.standing(now) == "active"]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise UsageError(f"several keys are called {which}", hint="name its id, or --tenant")
    said = f"the key {which} has ended" if found else f"there is no key {which}"
    raise UsageError(said, hint="`blackboard keys list` names them")


def _tell(key: Key, secret: str, now: int, as_json: bool) -> None:
    if as_json:
        console.out_json({**key.show(now), "secret": secret})
        return
    console.out(secret)
    console.say(f"key {key.id}, person:{key.name} of tenant {key.tenant}, may {', '.join(key.names)}")
    console.say("it is shown this once: keep it, and send it as `Authorization: Bearer <key>`")


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    rate = shown["requests_per_minute"]
    minute = "" if rate is None else str(rate or "any")
    times = (_at(shown[word]) for word in ("created", "expires", "last_used"))
    return (
        *(shown[word] for word in ("id", "name", "tenant")),
        ",".join(shown["scopes"]),
        shown["status"],
        *times,
        minute,
    )


def _at(ms: int | None) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}" if ms else ""
