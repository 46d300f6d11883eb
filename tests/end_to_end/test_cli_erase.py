"""`blackboard erase`: asks a person, and does it."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.command import SCRIPT, TEXT, Cli, Ran, ids


def asked(cli: Cli, answer: str, *words: str) -> Ran:
    """Runs with a terminal on stdin, where somebody types an answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode() + b"\n")
        done = subprocess.run(
            [SCRIPT, *words], env=cli.environment, stdin=theirs, capture_output=True, text=True, timeout=28, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.long
@pytest.mark.timeout(90)
def test_erase(tmp_path: Path) -> None:
    (tmp_path / "invoice.txt").write_text(TEXT)
    with Cli(tmp_path / "data").running("up", "--port", "0") as running:
        cli = Cli(tmp_path / "data", {"BLACKBOARD_URL": running.url})
        (id,) = ids(cli("submit", tmp_path / "invoice.txt"))
        nobody = cli("erase", id)
        assert (nobody.code, nobody.out) == (2, "")
        assert "--yes" in nobody.err
        no = asked(cli, "n", "erase", id)
        assert (no.code, no.out) == (2, "")
        assert f"{id} (invoice.txt)" in no.err
        yes = asked(cli, "y", "erase", id)
        assert (yes.code, yes.out) == (0, f"{id}\n")
        again = cli("erase", id, "--yes", "--json")
        assert (again.code, again.out) == (2, "")
        assert "knows no such board" in again.err
    gone = cli("erase", id, "--yes")
    assert (gone.code, gone.out) == (3, "")
