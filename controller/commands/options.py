"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands.completing import board_ids, documents, level_names, source_names

if TYPE_CHECKING:
    from blackboard.client import AsyncBlackboard, Blackboard
    from controller.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8000"

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
Listing = Annotated[
    bool | None,
    typer.Option(
        "--json/--table",
        help="JSON, or a table for people. Left out: a table on a terminal, else one JSON object a line.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where boards and documents are kept [env: BLACKBOARD_DATA_DIR]."),
]
Url = Annotated[
    str, typer.Option("--url", metavar="URL", envvar="BLACKBOARD_URL", help="The running service's address.")
]
ApiKey = Annotated[
    str,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="BLACKBOARD_API_KEY",
        help="The key that the service asks for.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugins", metavar="DIR", help="A folder of one-file sources; may be repeated [env: BLACKBOARD_PLUGINS]."
    ),
]
MaybeUrl = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="BLACKBOARD_URL",
        help="Ask a running service instead of the data directory.",
        show_default=False,
    ),
]
BoardId = Annotated[str, typer.Argument(metavar="ID", help="The board's id.", autocompletion=board_ids)]
Documents = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|URL...",
        help="Documents (PDF, images, text, office, mail...), or their https addresses.",
        autocompletion=documents,
    ),
]
"""Words, because a path would lose one of the slashes of an address."""
Goal = Annotated[
    str,
    typer.Option(
        "--goal", metavar="LEVELS", help="Levels to settle, comma separated; all if empty.", autocompletion=level_names
    ),
]
Only = Annotated[
    str,
    typer.Option(
        "--sources", metavar="NAMES", help="Sources to use, comma separated; all if empty.", autocompletion=source_names
    ),
]
Shadow = Annotated[
    str,
    typer.Option(
        "--shadow",
        metavar="NAMES",
        help="Sources that write to the side space alone, comma separated.",
        autocompletion=source_names,
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option("--deadline", metavar="SECONDS", min=0.001, help="Then the best partial result is taken."),
]

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="LEVEL=HOW",
        help="Who acts where several sources contribute a level: opportunistic, market, or an order a,b,c. Repeatable.",
        show_default=False,
    ),
]
Floors = Annotated[
    list[str] | None,
    typer.Option(
        "--floor",
        metavar="LEVEL=0..1",
        help="Confidence below which the next bidder is asked. Repeatable.",
        show_default=False,
    ),
]
BudgetOption = Annotated[
    str,
    typer.Option("--budget", metavar="usd=1,tokens=1000,wall_s=60", help="What it may cost; then the best there is."),
]

ModelsOption = Annotated[
    str,
    typer.Option(
        "--models",
        metavar="off|auto|always",
        help="Language models: none, where the local sources are not sure, or first. Or by level: "
        "summary=auto,verdict=always [env: BLACKBOARD_MODELS].",
        show_default=False,
    ),
]

PriceOption = Annotated[
    str,
    typer.Option(
        "--price", metavar="usd=1,second=0.01", help="What a dollar and a second are worth when bids compete."
    ),
]


def client_of(url: str, api_key: str) -> AsyncBlackboard:
    """A client of the service at an address. Raises UsageError."""
    from blackboard.client import AsyncBlackboard, Patience

    # Somebody waits: that nobody listens is said soon.
    return AsyncBlackboard(url, api_key, patience=Patience(retries=2), agent=_agent())


def client_at(url: str, api_key: str) -> Blackboard:
    """The same for a command that does one thing after the other. Raises UsageError."""
    from blackboard.client import Blackboard, Patience

    return Blackboard(url, api_key, patience=Patience(retries=2), agent=_agent())


def _agent() -> str:
    from blackboard import __version__

    return f"blackboard-cli/{__version__}"


def modes(text: str) -> Any:
    """`auto`, or `summary=auto,verdict=always` as a mapping. Raises UsageError."""
    return dict(_pair(word, "--models") for word in words(text)) if "=" in text else text.strip()


def policy_json(
    strategies: list[str] | None,
    floors: list[str] | None,
    budget: str,
    price: str = "",
    models: str = "",
    *,
    otherwise: Any = None,
) -> dict[str, Any]:
    """The options as the members a submission has. `otherwise`: the models where none were named, if that is known here.

    Raises UsageError that names what is off.
    """
    from pydantic import BaseModel, ValidationError

    from blackboard.errors import UsageError
    from controller.policy import Budget, Policy, Price

    given: dict[str, Any] = {"strategy": {}, "floor": {}, "budget": {}, "price": {}}
    for word in strategies or ():
        level, how = _pair(word, "--strategy")
        given["strategy"][level] = how if how in ("opportunistic", "market") else list(words(how))
    for word in floors or ():
        level, number = _pair(word, "--floor")
        given["floor"][level] = number
    for member, text in (("budget", budget), ("price", price)):
        for word in words(text):
            name, number = _pair(word, f"--{member}")
            given[member][name] = number
    # Where the service decides, whether a floor has a contest is its to say, too.
    given["models"] = modes(models) if models else otherwise or "auto"
    try:
        policy = Policy.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        kinds: dict[str, type[BaseModel]] = {"budget": Budget, "price": Price}
        known = kinds.get(str(first["loc"][0]) if first["loc"] else "")
        if first["type"] == "extra_forbidden" and known is not None:
            raise UsageError(f"{where}: there is none", hint=f"there are {', '.join(known.model_fields)}") from error
        raise UsageError(f"{where or 'the options'}: {first['msg']}", hint="see `--help` for the form") from error
    said = policy.model_dump(mode="json", exclude_defaults=True)
    if models:
        said["models"] = policy.models
    elif otherwise is None:
        said.pop("models", None)
    return said


def _pair(word: str, option: str) -> tuple[str, str]:
    from blackboard.errors import UsageError

    name, is_pair, value = word.partition("=")
    if not is_pair or not name.strip():
        raise UsageError(f"{option} {word}: it must be NAME=VALUE")
    return name.strip(), value.strip()


def words(text: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def settings_from(data: Path | None = None, **overrides: Any) -> Settings:
    """The settings of this process: options that are given over the environment. Raises UsageError that names what is off."""
    from pydantic import ValidationError

    from blackboard.errors import UsageError
    from controller.settings import Settings

    given = {name: value for name, value in overrides.items() if value not in (None, [])}
    given |= {"data_dir": data.expanduser().resolve()} if data is not None else {}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(
            f"the setting BLACKBOARD_{name} is off: {first['msg']}", hint="see docs/operating.md"
        ) from error


def is_address(document: str) -> bool:
    """Whether it is an address, and not a file."""
    return document.startswith(("https://", "http://"))


def existing(files: list[Path]) -> list[Path]:
    """The files, if all can be read. Raises UsageError."""
    from blackboard.errors import UsageError

    for file in files:
        if file.is_dir():
            raise UsageError(f"{file} is a folder", hint=f"name the files: {file}/*")
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    return files
