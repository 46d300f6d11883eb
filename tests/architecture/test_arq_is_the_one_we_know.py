"""arq's worker is overridden in `main`, `_poll_iteration` and `run_job`: when the parent changes, look before it runs."""

from __future__ import annotations

import hashlib
import inspect

import arq
import pytest
from arq import jobs, worker

KNOWN = {
    "Worker.__init__": "edfb0cd7e05e77cf",
    "Worker.main": "45ca1591c9717466",
    "Worker._poll_iteration": "f8d39d823a0a59f2",
    "Worker.start_jobs": "b45797cfa40bed7f",
    "Worker.run_job": "589a19059ff84ee7",
    "Worker.finish_job": "903f09c92830d3fd",
    "Worker.heart_beat": "2e9959bea66dc551",
    "Worker.record_health": "108f4b8686c9402d",
    "serialize_job": "1fc854cc50e16e5c",
    "deserialize_job_raw": "f330dfaff8e2160f",
}


def digest(name: str) -> str:
    """Of the source of one function of arq."""
    found = jobs if not name.startswith("Worker.") else worker.Worker
    text = inspect.getsource(getattr(found, name.rpartition(".")[2]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_version() -> None:
    assert arq.VERSION == "0.28.0"


@pytest.mark.parametrize("name", KNOWN)
def test_code(name: str) -> None:
    assert digest(name) == KNOWN[name], (
        f"arq's {name} changed: compare it with controller/push.py and controller/queue.py"
    )
