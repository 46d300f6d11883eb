"""`replay --rerun` as a person uses it: a board of one's own, an exported log, code that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.command import TEXT, Cli

CHANGED = '''
from blackboard import Claim, Each, Page, knowledge_source
from knowledge_sources.claims import claims as built_in


@knowledge_source(version="2")
def claims(page: Each[Page]) -> list[Claim]:
    """Shouts."""
    return [claim.model_copy(update={"text": claim.text.upper()}) for claim in built_in.function(page)][1:]
'''


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, str]:
    """One text analyzed in a data directory that several tests look at."""
    place = tmp_path_factory.mktemp("rerun")
    cli, file = Cli(place / "data"), place / "invoice.txt"
    file.write_text(TEXT)
    ran = cli("analyze", file, "--json")
    assert ran.code == 0, ran
    return cli, ran.json()["board"]


@pytest.mark.long
def test_a_built_in_source_comes_to_the_same(analyzed: tuple[Cli, str]) -> None:
    cli, board = analyzed
    ran = cli("replay", board, "--rerun", "claims")
    assert ran.code == 0, ran
    assert ran.out.startswith("page/0001  same") and "nothing was written" in ran.err


@pytest.mark.long
@pytest.mark.parametrize("source", ["layers", "pages", "facts"])
def test_and_says_so_as_json(analyzed: tuple[Cli, str], source: str) -> None:
    cli, board = analyzed
    ran = cli("replay", board, "--rerun", source, "--json")
    assert ran.code == 0, ran
    said = ran.json()
    assert said["same"] and list(said["sources"]) == [source]
    assert said["counts"] == {"same": len(said["activations"])}


@pytest.mark.long
def test_all_of_them_come_to_the_same(analyzed: tuple[Cli, str]) -> None:
    cli, board = analyzed
    ran = cli("replay", board, "--rerun", "all", "--json")
    assert ran.code == 0, ran
    said = ran.json()
    assert {"intake", "layers", "pages", "claims", "facts", "report"} <= set(said["sources"])
    assert said["digest"]["then"] == said["digest"]["now"]


@pytest.mark.long
def test_changed_code_is_told_apart_and_exits_5(analyzed: tuple[Cli, str], tmp_path: Path) -> None:
    cli, board = analyzed
    file = tmp_path / "claims.py"
    file.write_text(CHANGED)
    ran = cli("replay", board, "--rerun", file)
    assert ran.code == 5, ran
    assert "page/0001  differs" in ran.out and "lost:" in ran.out and "text: " in ran.out
    said = cli("replay", board, "--rerun", file, "--json").json()
    assert not said["same"] and said["sources"] == {"claims": "2"}
    assert said["digest"]["then"] != said["digest"]["now"]
    kinds = [change["kind"] for change in said["activations"][0]["changes"]]
    assert sorted(set(kinds)) == ["changed", "lost"]


@pytest.mark.long
def test_an_exported_log_needs_no_server(analyzed: tuple[Cli, str], tmp_path: Path) -> None:
    cli, board = analyzed
    log = tmp_path / "board.jsonl"
    log.write_text(cli("log", board, "--json").out)
    elsewhere = Cli(tmp_path / "data")
    ran = elsewhere("replay", log, "--rerun", "claims")
    assert ran.code == 0, ran
    # Its bytes are not in the log.
    ran = elsewhere("replay", log, "--rerun", "layers")
    assert ran.code == 5, ran
    assert "no bytes with the SHA-256" in ran.out
    assert cli("replay", log, "--rerun", "layers").code == 0


@pytest.mark.long
def test_wrong_words_exit_2(analyzed: tuple[Cli, str]) -> None:
    cli, board = analyzed
    for words, said in (
        (("--rerun", "nobody"), "nor an installed source nobody"),
        (("--rerun", "attachments"), "no activation of attachments ended"),
        (("--rerun", "claims", "--verify"), "it stands alone"),
    ):
        ran = cli("replay", board, *words)
        assert (ran.code, said in ran.err) == (2, True), ran
