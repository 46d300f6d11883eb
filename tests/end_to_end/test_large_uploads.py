"""A gigabyte through the front door of a real service: it must pass through, not stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.end_to_end.command import Cli, Running

GIGABYTE = 1 << 30
MOST_GROWTH = 32 << 20
BLOCK = bytes(range(256)) * 256
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.txt"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """The HTTP door alone, with the blob store in a folder."""
    cli = Cli(tmp_path / "data", {"BLACKBOARD_MAX_UPLOAD_BYTES": str(2 * GIGABYTE), "BLACKBOARD_PORT": "0"})
    with cli.running("serve") as running:
        yield running


def content(size: int) -> Iterator[bytes]:
    """A document of that many bytes, as a form."""
    yield HEAD
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    yield TAIL


def digest(size: int) -> str:
    found = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        found.update(BLOCK)
    return found.hexdigest()


def memory(pid: int, what: str) -> int:
    """Bytes, by the kernel: `VmRSS` now, `VmHWM` at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


def send(client: httpx2.Client, size: int, **headers: str) -> httpx2.Response:
    more = {"Content-Type": "multipart/form-data; boundary=b", **headers}
    return client.post("/v1/documents", content=content(size), headers=more)


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("framing", ["announced", "chunked", "with a key, twice"])
def test_a_gigabyte_passes_through(service: Running, framing: str) -> None:
    size = GIGABYTE
    headers = {"Content-Length": str(size + len(HEAD) + len(TAIL))} if framing == "announced" else {}
    headers |= {"Idempotency-Key": '"large"'} if "key" in framing else {}
    with httpx2.Client(base_url=service.url, timeout=120) as client:
        # What is loaded with the first upload is no growth of a large one.
        assert send(client, 4 << 20).status_code == 202
        Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")
        before = memory(service.process.pid, "VmHWM")
        for _ in range(2 if "twice" in framing else 1):
            answer = send(client, size, **headers)
            assert answer.status_code == 202, answer.text
        growth = memory(service.process.pid, "VmHWM") - before
        board = answer.json()["id"]
        upload = client.get(f"/v1/boards/{board}/entries/upload/original").json()["value"]
    assert (upload["size"], upload["sha256"]) == (size, digest(size))
    assert growth <= MOST_GROWTH, f"it grew by {growth / 1e6:.1f} MB"
