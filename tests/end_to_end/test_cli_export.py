"""`export` and `fork`: a board in one file, replayed where nothing else of it is; and gone on with on a new board."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.command import TEXT, Cli, ids


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_bundle_replays_where_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "invoice.txt").write_text(TEXT)
    with Cli(tmp_path / "data").running("up", "--port", "0") as running:
        cli = Cli(tmp_path / "data", {"BLACKBOARD_URL": running.url})
        (id,) = ids(cli("submit", tmp_path / "invoice.txt", "--wait"))
        file = tmp_path / "kept.zip"
        exported = cli("export", id, "-o", file)
        assert (exported.code, exported.out) == (0, f"{file}\n")
        (fork,) = ids(cli("fork", id, "--at", "1"))
        assert cli("watch", fork).code == 0
        beyond = cli("fork", id, "--at", "100000")
        assert (beyond.code, beyond.out) == (2, "")
        assert cli("export", "0-" + "a" * 26).code == 2
    elsewhere = Cli(tmp_path / "elsewhere")
    verified = elsewhere("replay", file, "--verify", "--json")
    assert (verified.code, verified.json()["board"], verified.json()["equal"]) == (0, id, True)
    again = elsewhere("replay", file, "--rerun", "all", "--json")
    assert again.code == 0, again
    assert {"intake", "layers", "pages"} <= set(again.json()["sources"]), "the document's bytes came with it"
    (board,) = ids(elsewhere("import", file))
    shown = elsewhere("show", board)
    assert (shown.code, "completed" in shown.out) == (0, True), shown
    cut = tmp_path / "cut.zip"
    cut.write_bytes(file.read_bytes()[:-100])
    assert elsewhere("import", cut).code == 5
