"""The real command in processes of its own, on a data directory of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

SCRIPT = Path(sys.executable).with_name("blackboard")
EXAMPLES = Path(__file__).parents[2] / "examples"
TEXT = """ACME Widgets Ltd
Invoice number: INV-2041
Date: 12 March 2025

Widget A    2 x 10.00 EUR    20.00 EUR
Widget B    1 x 15.50 EUR    15.50 EUR
Total: 35.50 EUR

The delivery took three days. ACME Widgets was founded in 1998 in Berlin.
"""


@dataclass(frozen=True)
class Ran:
    """What a finished command left."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """stdout as one JSON value."""
        return orjson.loads(self.out)

    def lines(self) -> list[dict[str, Any]]:
        """stdout as JSON Lines."""
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass
class Cli:
    """`cli("show", id)` runs `blackboard show <id>` with its boards in `data`."""

    data: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of ours from the outside, and this data directory."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BLACKBOARD_")}
        return {**kept, "BLACKBOARD_DATA_DIR": str(self.data), "NO_COLOR": "1", **self.more}

    def __call__(self, *words: str | Path, timeout: float = 28.0) -> Ran:
        done = subprocess.run(
            [SCRIPT, *words], env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """The same without waiting for it."""
        pipe = subprocess.PIPE
        return subprocess.Popen([SCRIPT, *words], env=self.environment, stdout=pipe, stderr=pipe, text=True)

    @contextmanager
    def running(self, *words: str) -> Iterator[Running]:
        """A service, stopped in the end by SIGTERM (if the test has not ended it)."""
        with (self.data.parent / f"{words[0]}.err").open("w+") as log:
            process = subprocess.Popen([SCRIPT, *words], env=self.environment, stderr=log, stdout=subprocess.PIPE)
            service = Running(process, Path(log.name))
            try:
                yield service
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                assert process.stdout is not None
                process.stdout.close()
                if process.returncode != 0:
                    # It had no time to stop its private server, which waits for the next to adopt it.
                    pid = self.data / "server" / "server.pid"
                    if pid.exists():
                        os.kill(int(pid.read_text()), signal.SIGTERM)


@dataclass
class Running:
    """A service process and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, pattern: str, timeout: float = 20.0) -> re.Match[str]:
        """Wait until its stderr matches."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            match = re.search(pattern, self.log.read_text())
            found.extend([match] if match else [])
            return bool(match) or self.process.poll() is not None

        until(look, timeout)
        assert found, f"it never said {pattern!r}:\n{self.log.read_text()}"
        return found[0]

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.said(r"listens on (http://\S+)")[1]


def until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait for a condition. Fails when it does not come true in time."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def ids(ran: Ran) -> Sequence[str]:
    """stdout as ids alone."""
    found = ran.out.splitlines()
    assert all(re.fullmatch(r"\d+-[a-z2-7]{26}", line) for line in found), ran
    return found
