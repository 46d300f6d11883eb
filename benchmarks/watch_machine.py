"""What the parts of the watching benchmark share: limits of files, and what the system says of a process."""

from __future__ import annotations

import os
import resource
from pathlib import Path

MESSAGE_BYTES = 400
"""About what a record with a small entry comes to."""


def raise_limits() -> int:
    """As many open files as the system lets us have; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def resident(pid: int) -> int:
    """Bytes of a process's memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def processor(pid: int) -> float:
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
