"""The rules of a circuit breaker as a pure state machine: what one process goes by while it cannot ask the fleet's.

The pattern is M. Nygard's (Release It!, 2007); counting in a window of time with a floor of calls is that of Hystrix and
resilience4j. The scripts `breaker_enter` and `breaker_tell` are the same machine for the whole fleet; a test holds the two
against each other. Times are milliseconds on any clock that does not go back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

Outcome = Literal["ok", "failed", "unknown"]
SLOTS: Final = 30
"""Parts of the window: calls leave it a thirtieth of it at a time."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens and for how long.

    It opens when a window has `calls` of which `percent` failed, or when `calls` in a row failed within one: a busy endpoint
    that goes down would otherwise be asked for half a window more.
    """

    window_ms: int = 30_000
    calls: int = 20
    percent: int = 50
    open_ms: int = 15_000
    """Doubled each time the probe fails, up to `most_ms`."""
    most_ms: int = 300_000
    lease_ms: int = 20_000
    """A probe whose process is not heard of for so long gives its place to another."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to call. `generation` counts openings and closings: what began in another one says nothing of this one."""

    word: Literal["closed", "open", "probe", "ignored"]
    generation: str = "0"
    wait_ms: int = 0
    """While open: when to ask again."""
    times: int = 0
    """How often in a row it has opened."""


@dataclass(slots=True)
class Circuit:
    """One endpoint, as far as this process saw it."""

    rules: Rules = field(default_factory=Rules)
    generation: int = 0
    times: int = 0
    ends: int | None = None
    """When an open breaker lets a probe through; None: closed."""
    probe: str = ""
    probe_until: int = 0
    streak: int = 0
    streak_at: int = 0
    good: Counter[int] = field(default_factory=Counter)
    bad: Counter[int] = field(default_factory=Counter)

    def enter(self, probe: str, now: int) -> Verdict:
        """Whether a call may go out; `probe` names the caller, should it become the probe, and keeps it one."""
        if self.ends is None:
            return Verdict("closed", str(self.generation))
        if now < self.ends:
            return self._word("open", self.ends - now)
        if self.probe and self.probe != probe and now < self.probe_until:
            return self._word("open", self.probe_until - now)
        self.probe, self.probe_until = probe, now + self.rules.lease_ms
        return self._word("probe", 0)

    def tell(self, token: str, probe: bool, outcome: Outcome, now: int) -> Verdict:
        """How a call went. `token`: the probe's name, or the generation in which it began."""
        if probe:
            return self._probed(token, outcome, now)
        if outcome == "unknown" or self.ends is not None or token != str(self.generation):
            return self._word("ignored", self._rest(now))
        self._count(outcome == "ok", now)
        good, bad, many = self.good.total(), self.bad.total(), self.rules.calls
        enough = good + bad >= many and bad * 100 >= (good + bad) * self.rules.percent
        if bad and (enough or self.streak >= many):
            return self._open(now)
        return self._word("closed", 0)

    def hold(self, wait_ms: int, times: int, now: int) -> None:
        """The fleet has it open for so long: so it is here, should the fleet be out of reach."""
        self.ends, self.times, self.probe = now + wait_ms, times, ""

    def close(self) -> None:
        """The fleet has it closed."""
        if self.ends is not None:
            self._turn()
            self.ends, self.times = None, 0

    def _probed(self, token: str, outcome: Outcome, now: int) -> Verdict:
        if self.ends is None or token != self.probe:
            return self._word("ignored", self._rest(now))
        if outcome == "failed":
            return self._open(now)
        if outcome == "unknown":
            self.probe = ""
            return self._word("open", self._rest(now))
        self.close()
        return self._word("closed", 0)

    def _count(self, ok: bool, now: int) -> None:
        slot = now * SLOTS // self.rules.window_ms
        for counts in (self.good, self.bad):
            for old in [one for one in counts if one <= slot - SLOTS]:
                del counts[old]
        (self.good if ok else self.bad)[slot] += 1
        if ok:
            self.streak = 0
            return
        if self.streak == 0 or now - self.streak_at >= self.rules.window_ms:
            self.streak, self.streak_at = 0, now
        self.streak += 1

    def _open(self, now: int) -> Verdict:
        self.times += 1
        length = min(self.rules.open_ms << min(self.times - 1, 30), self.rules.most_ms)
        self._turn()
        self.ends = now + length
        return self._word("open", length)

    def _turn(self) -> None:
        self.generation += 1
        self.streak = 0
        self.probe = ""
        self.good.clear()
        self.bad.clear()

    def _rest(self, now: int) -> int:
        return 0 if self.ends is None else max(0, self.ends - now)

    def _word(self, word: Literal["closed", "open", "probe", "ignored"], wait_ms: int) -> Verdict:
        return Verdict(word, str(self.generation), wait_ms, self.times)
