"""Loggers that sources ask for: each line says on which board, for which source and binding it was written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import structlog

LOGGERS = (
    logging.Logger,
    structlog.BoundLogger,
    structlog.stdlib.BoundLogger,
    structlog.typing.BindableLogger,
    structlog.typing.FilteringBoundLogger,
)
"""Types of a parameter that is handed a logger."""


class SourceLogger(logging.Logger):
    """The standard library's logger of one activation: `board`, `source` and `binding` are fields of every record.

    It stands below `blackboard.source.<name>` and is known to nobody else, so that it goes away with its activation.
    """

    def __init__(self, source: str, board: str, binding: str) -> None:
        super().__init__(f"blackboard.source.{source}")
        self.parent = logging.getLogger(self.name)
        self._fields = {"board": board, "source": source, "binding": binding}

    def makeRecord(self, *given: Any, **named: Any) -> logging.LogRecord:  # noqa: N802  the standard library's name
        """See logging.Logger."""
        record = super().makeRecord(*given, **named)
        vars(record).update(self._fields)
        return record


def loggers(wanted: Mapping[str, Any], *, source: str, board: str, binding: str) -> dict[Any, Any]:
    """The loggers among the types a source asks for (parameter -> type), bound to one activation."""
    asked = [kind for kind in wanted.values() if kind in LOGGERS]
    if not asked:
        return {}
    bound = structlog.get_logger(f"blackboard.source.{source}").bind(board=board, source=source, binding=binding)
    return {kind: SourceLogger(source, board, binding) if kind is logging.Logger else bound for kind in asked}
