"""The command line. Exit codes: 0 done, 1 a board failed, 2 usage, 3 unreachable, 4 timed out, 5 replay diverged.

Results go to stdout (ids alone), words for people to stderr. Every command imports what it needs when it runs, so that
`--help` is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from controller.commands import (
    analyze,
    boards,
    doctor,
    erasing,
    exporting,
    health,
    keys,
    remote,
    replaying,
    service,
    sources,
    spending,
    webhooks,
)
from controller.commands.console import INTERRUPTED, State, explain, out, silence_stdout

app = typer.Typer(
    name="blackboard",
    help="Specialists read a document together on a shared blackboard; every step can be watched and replayed.",
    epilog="Exit codes: 0 done, 1 a board failed, 2 usage, 3 unreachable, 4 timed out, 5 replay diverged.",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from blackboard import __version__

        out(__version__)
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="BLACKBOARD_DEBUG", help="Show tracebacks and more of the log.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    ctx.obj.debug = debug


for group in (analyze, service, remote, boards, erasing, exporting, replaying, doctor, health):
    group.register(app)
app.add_typer(sources.app, name="sources")
app.add_typer(spending.app, name="spending")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """The entry point `blackboard`."""
    state = State()
    try:
        app(obj=state, prog_name="blackboard")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        silence_stdout()
        sys.exit(0)
    except Exception as error:
        sys.exit(explain(error, debug=state.debug))


if __name__ == "__main__":
    main()
