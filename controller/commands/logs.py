"""Where the process's own log goes: stderr, one line or one JSON object for each event."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from controller.settings import Settings


def configure_logs(settings: Settings, *, level: str | None = None) -> None:
    """Set up structlog and the standard library's logging. `level` overrides the setting."""
    # It has the models' client print whole questions, documents and all, as soon as that is imported.
    forbidden = os.environ.pop("ANTHROPIC_LOG", None)
    number = getattr(logging, (level or settings.log_level).upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any]
    if settings.log_format == "json":
        last = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder({"board", "source", "binding"}), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    # What sources say is asked for; what libraries say below a warning is not.
    logging.getLogger("blackboard.source").setLevel(number)
    if forbidden:
        structlog.get_logger(__name__).warning(
            "log.refused", setting="ANTHROPIC_LOG", reason="it would write documents to the log"
        )
