"""`doctor`: whether this machine and its settings can run boards, check by check."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from controller.commands import console
from controller.commands.options import Data, Json, settings_from

if TYPE_CHECKING:
    from controller.settings import Settings

PACKAGES = (
    "redis", "arq", "fastapi", "pydantic", "orjson", "obstore", "pypdfium2", "rapidocr", "onnxruntime", "numpy", "anthropic",
)  # fmt: skip
LEAST_FILES = 1024
LEAST_MEMORY = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `warn` does not fail the whole."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    hint: str = ""


def doctor(
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is wrong.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Ask the model's server what it can do, with a few tiny calls.")
    ] = False,
    data: Data = None,
) -> None:
    """Check Python, packages, server, blobs, OCR, sources, language models, limits. Exit 1 if something would not work."""
    checks = console.run(_examine(data, probe=probe))
    failed = any(check.state == "fail" for check in checks)
    if as_json:
        console.out_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    for check in () if as_json else checks:
        if quiet and check.state == "ok":
            continue
        console.out(f"{check.state:<5} {check.name:<9} {check.said}")
        if check.hint:
            console.out(f"      hint: {check.hint}")
    raise typer.Exit(console.BOARD_FAILED if failed else console.DONE)


async def _examine(data: Data, *, probe: bool = False) -> list[Check]:
    settings = settings_from(data)
    checks = [_python(), *_packages()]
    checks += [check async for check in _server(settings)]
    checks.append(await _blobs(settings))
    checks += [_guarded("ocr", _ocr), *_sources(settings), *await _models(settings, probe=probe), *_limits(settings)]
    return checks


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:  # whatever a half-installed package raises is a finding
        return Check(name, "fail", f"{type(error).__name__}: {error}")


def _python() -> Check:
    return Check("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _packages() -> list[Check]:
    from importlib.metadata import PackageNotFoundError, version

    from blackboard import __version__

    found, missing = [f"blackboard {__version__}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return [Check("packages", "fail", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")]
    return [Check("packages", "ok", ", ".join(found))]


async def _server(settings: Settings) -> AsyncIterator[Check]:
    from blackboard.connect import hide_password
    from blackboard.embedded import Embedded, server_binary
    from blackboard.errors import BlackboardError

    try:
        if settings.redis_url:
            async for check in _server_at(settings.redis_url, hide_password(settings.redis_url), settings.cluster):
                yield check
        else:
            binary = server_binary()
            async with Embedded(settings.data_dir / "server") as server:
                async for check in _server_at(server.url, f"embedded ({binary})", cluster=False):
                    yield check
    except BlackboardError as error:
        yield Check("server", "fail", str(error), error.hint)
    except OSError as error:
        yield Check("server", "fail", f"{settings.data_dir}: {error.strerror or error}", "choose another --data")


async def _server_at(url: str, shown: str, cluster: bool) -> AsyncIterator[Check]:
    from redis.exceptions import RedisError

    from blackboard.connect import check_server, connect

    commands, blocking = await connect(url, cluster=cluster)
    try:
        warnings = await check_server(blocking)
        info: dict[str, Any] = await blocking.info()
        kind = "valkey" if "valkey_version" in info else "redis"
        version = info.get("valkey_version") or info.get("redis_version")
        try:
            raw = await blocking.config_get("maxmemory-policy", "appendonly", "appendfsync")
            told = {_text(name): _text(value) for name, value in raw.items()}
        except RedisError:
            told = {}
        kept = f"append-only {told['appendfsync']}" if told.get("appendonly") == "yes" else "settings hidden"
        policy = told.get("maxmemory-policy", "policy hidden")
        yield Check("server", "ok", f"{kind} {version}, {policy}, {kept}, {shown}")
        for warning in warnings:
            yield Check("server", "warn", warning)
    finally:
        await commands.aclose()
        await blocking.aclose()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def _blobs(settings: Settings) -> Check:
    import secrets

    from blackboard.blobs import Blobs
    from blackboard.errors import BlackboardError

    probe = secrets.token_bytes(32)
    try:
        blobs = Blobs.at(settings.blobs)
        sha256 = await blobs.put(probe)
        try:
            same = await blobs.get(sha256) == probe
        finally:
            await blobs.delete(sha256)
    except BlackboardError as error:
        return Check("blobs", "fail", f"{settings.blobs}: {error}", error.hint or "is it writable?")
    except OSError as error:
        return Check("blobs", "fail", f"{settings.blobs}: {error.strerror or error}", "is it writable?")
    return Check("blobs", "ok" if same else "fail", f"{settings.blobs}, written and read back")


def _ocr() -> Check:
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("rapidocr")
    places = list(spec.submodule_search_locations or ()) if spec else []
    models = sorted(model.name for place in places for model in (Path(place) / "models").glob("*.onnx"))
    if not any("det" in model for model in models) or not any("rec" in model for model in models):
        return Check("ocr", "fail", "the OCR models are missing", "pip install --force-reinstall rapidocr")
    return Check("ocr", "ok", f"models {', '.join(models)}")


def _sources(settings: Settings) -> list[Check]:
    from blackboard.errors import BlackboardError
    from blackboard.registry import find_sources

    try:
        found, broken = find_sources(plugins=settings.plugins)
    except BlackboardError as error:
        return [Check("sources", "fail", str(error), error.hint)]
    names = ", ".join(source.name for source in found)
    checks = [Check("sources", "ok" if found else "fail", names or "none is installed")]
    checks += [Check("sources", "fail", f"{each.name} ({each.where}): {each.error}") for each in broken]
    return checks


async def _models(settings: Settings, *, probe: bool) -> list[Check]:
    """What is set about language models, and how they do. No document leaves this machine for it.

    `probe`: ask the server what it can do, unless somebody has today; else nobody is asked.
    """
    from blackboard.errors import BlackboardError, StorageError
    from controller.bootstrap import condition_of, open_service
    from controller.commands.models_found import findings

    try:
        condition = condition_of()
        told = await condition.look()
        if condition.configured:
            with suppress(StorageError, OSError):  # that the server is away is told by its own check
                async with open_service(settings, roles=frozenset(), remote=False) as service:
                    told = await service.condition.look(tenant="default", probe=probe)
    except BlackboardError as error:
        return [Check("models", "fail", str(error), error.hint)]
    return [Check("models", *finding) for finding in findings(settings.models, told)]


def _limits(settings: Settings) -> list[Check]:
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    enough = files < 0 or files >= LEAST_FILES
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    roomy = pages >= LEAST_MEMORY
    said = f"{os.cpu_count()} processors, {pages / 1024**3:.1f} GiB of memory, {files} open files"
    taken = (
        f"documents up to {settings.max_upload_bytes:,} bytes, ended boards kept {settings.retention_s / 86_400:g} days"
    )
    hint = "" if roomy else "an OCR process may take 2 GiB"
    hint = hint if enough else f"raise the limit of open files to {LEAST_FILES} (ulimit -n)"
    return [Check("machine", "ok" if roomy and enough else "warn", said, hint), Check("limits", "ok", taken)]


def register(app: typer.Typer) -> None:
    """Add the group's command."""
    app.command()(doctor)
