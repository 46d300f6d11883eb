"""Counts and distributions of one process, kept as plain numbers: a step costs about a microsecond.

Names follow Prometheus' rules (one prefix, base units, `_total`) and, where there is one, OpenTelemetry's name for the same
thing. Values of labels are bounded: names of sources, statuses, templates of routes, never a board or a tenant.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 1000
"""Combinations of labels one metric keeps; what comes later is counted as `other`."""
OTHER: Final = "other"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
CALL_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = tuple(float(4**power) for power in range(14))
BOARD_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


class Counter:
    """What only grows. `name` without `_total`."""

    __slots__ = ("help", "labels", "name", "values")

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """One more, or `by`; `labels` in the order of their names."""
        values = self.values
        if labels not in values and len(values) >= MOST:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0.0) + by


class Histogram:
    """A distribution. `bounds`: upper, ascending."""

    __slots__ = ("bounds", "help", "labels", "name", "values")

    def __init__(self, name: str, help: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.name, self.help, self.labels, self.bounds = name, help, tuple(labels), tuple(bounds)
        self.values: dict[tuple[str, ...], list[float]] = {}
        """Labels -> how many in each bucket, the last one without a bound, then their sum."""

    def observe(self, value: float, *labels: str) -> None:
        """Count one value."""
        found = self.values.get(labels)
        if found is None:
            if len(self.values) >= MOST:
                labels = (OTHER,) * len(labels)
            found = self.values.setdefault(labels, [0] * (len(self.bounds) + 2))
        found[bisect_left(self.bounds, value)] += 1
        found[-1] += value


def _call_labels() -> tuple[str, ...]:
    return ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that one process counts; docs/operating.md tells an operator about each."""

    activations: Counter = field(
        default_factory=lambda: Counter(
            "blackboard_activations", "Activations that ended in this process.", ("source", "outcome")
        )
    )
    durations: Histogram = field(
        default_factory=lambda: Histogram(
            "blackboard_activation_duration_seconds", "From claim to end.", ("source", "outcome"), SECONDS
        )
    )
    retries: Counter = field(
        default_factory=lambda: Counter(
            "blackboard_activation_retries", "Activations put back to be tried again.", ("source", "reason")
        )
    )
    writes: Counter = field(
        default_factory=lambda: Counter(
            "blackboard_entry_writes", "Versions of entries written.", ("source", "outcome")
        )
    )
    boards: Counter = field(
        default_factory=lambda: Counter("blackboard_boards", "Boards that began or ended.", ("outcome",))
    )
    board_seconds: Histogram = field(
        default_factory=lambda: Histogram(
            "blackboard_board_duration_seconds", "From submission to end.", ("outcome",), BOARD_S
        )
    )
    requests: Histogram = field(
        default_factory=lambda: Histogram(
            "http_server_request_duration_seconds",
            "Until the last byte of an answer, of a stream the first.",
            ("http_request_method", "http_route", "http_response_status_code"),
            REQUEST_S,
        )
    )
    calls: Counter = field(
        default_factory=lambda: Counter("blackboard_llm_calls", "Questions to language models.", ("model", "outcome"))
    )
    cost: Counter = field(
        default_factory=lambda: Counter("blackboard_llm_cost_usd", "Spent on language models, US dollars.", ("model",))
    )
    tokens: Histogram = field(
        default_factory=lambda: Histogram(
            "gen_ai_client_token_usage", "Tokens of one call.", (*_call_labels(), "gen_ai_token_type"), TOKENS
        )
    )
    call_seconds: Histogram = field(
        default_factory=lambda: Histogram(
            "gen_ai_client_operation_duration_seconds", "Duration of one call.", (*_call_labels(), "error_type"), CALL_S
        )
    )
