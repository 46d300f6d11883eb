"""What a board's log and the ledger say of one call. Pure."""

from __future__ import annotations

from typing import Any

from knowledge_sources.llm.calls import NANO
from knowledge_sources.llm.ports import Row


def told(row: Row) -> dict[str, Any]:
    """The body of `llm.called`. What is not known (a price) is null; a dollar amount is rounded to a millionth of a cent."""
    usage = row.usage
    said: dict[str, Any] = {
        "call": row.id,
        "request": row.request,
        "prompt": row.prompt,
        "model": row.endpoint.model,
        "outcome": row.outcome,
        "activation": row.caller.activation,
        "source": row.caller.source,
        "binding": row.caller.binding,
        "tokens": {
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
        },
        "usd": None if row.nano is None else usd(row.nano),
        "latency_ms": row.latency_ms,
    }
    if row.saved_nano:
        said["saved_usd"] = usd(row.saved_nano)
    if row.failure:
        said["failure"] = row.failure
    if row.request_id:
        said["request_id"] = row.request_id
    return said


def usd(nano: int) -> float:
    """Dollars."""
    return round(nano / NANO, 8)
