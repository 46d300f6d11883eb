"""What an author does at the command line: one-file plug-ins, `sources new`, `check` and `run`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.command import TEXT, Cli, Ran

DATES = """
import re
from collections.abc import AsyncIterator

from blackboard import Each, Level, Page, knowledge_source


class DateMention(Level):
    iso: str
    page: int


@knowledge_source(version="1", cost="free", timeout=10, carries={"page": "number"}, when=lambda page: "Signed" in page.text)
async def dates(page: Each[Page]) -> AsyncIterator[DateMention]:
    for hit in re.findall(r"\\d{4}-\\d\\d-\\d\\d", page.text):
        yield DateMention(iso=hit, page=page.number)
"""
SIGNED = "Signed on 2025-03-12, due on 2025-04-12.\n"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, with a document and a folder of one plug-in at hand."""
    (tmp_path / "signed.txt").write_text(SIGNED)
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "dates.py").write_text(DATES)
    return Cli(tmp_path / "data")


def findings(ran: Ran) -> dict[str, list[str]]:
    """State -> what was said, of every source that was checked."""
    found: dict[str, list[str]] = {"ok": [], "warn": [], "fail": []}
    for source in ran.json()["sources"]:
        for each in source["findings"]:
            found[each["state"]].append(f"{each['check']}: {each['said']}")
    return found


def bindings(ran: Ran) -> dict[str, dict[str, Any]]:
    """What became of each binding of a source that was run alone."""
    assert ran.code in (0, 1), ran
    return {each["binding"]: each for each in ran.json()["bindings"]}


# -- plug-ins ----------------------------------------------------------------------------------------------------------


def test_a_file_in_a_folder_contributes(cli: Cli, tmp_path: Path) -> None:
    plug = tmp_path / "plug"
    (plug / "broken.py").write_text("import nowhere_to_be_found\n")
    ran = cli("analyze", tmp_path / "signed.txt", "--plugins", plug, "--json")
    assert ran.code == 0, ran
    assert ran.json()["outcome"]["coverage"]["dates"] == {"1": "done"}
    assert f"warning: the source broken ({plug / 'broken.py'}) cannot be used: ModuleNotFoundError" in ran.err
    entry = cli("show", ran.json()["board"], "date_mention/0001-2").json()
    assert entry == {"iso": "2025-04-12", "page": 1}
    why = cli("why", ran.json()["board"], "--plugins", plug, "--json").json()
    assert [(each["binding"], each["state"]) for each in why if each["source"] == "dates"] == [("page/0001", "done")]


@pytest.mark.long
def test_plug_ins_are_listed_with_their_place(cli: Cli, tmp_path: Path) -> None:
    plug = tmp_path / "plug"
    (plug / "broken.py").write_text("1 / 0\n")
    by_environment = Cli(cli.data, {"BLACKBOARD_PLUGINS": str(plug)})("sources", "list", "--json")
    by_option = cli("sources", "list", "--json", "--plugins", plug)
    assert by_environment.code == by_option.code == 1
    assert by_environment.json() == by_option.json()
    (dates,) = [source for source in by_option.json()["sources"] if source["name"] == "dates"]
    assert (dates["origin"], dates["where"]) == ("file", str(plug / "dates.py"))
    (broken,) = by_option.json()["broken"]
    assert (broken["name"], broken["origin"], broken["where"]) == ("broken", "file", str(plug / "broken.py"))
    assert broken["error"].startswith("ZeroDivisionError")
    assert cli("sources", "list", "--table", "--plugins", plug).out.count(f"file: {plug / 'dates.py'}") == 1


@pytest.mark.long
def test_a_service_runs_plug_ins_and_reports_broken_ones(cli: Cli, tmp_path: Path) -> None:
    plug = tmp_path / "plug"
    (plug / "broken.py").write_text("1 / 0\n")
    with cli.running("up", "--port", "0", "--plugins", str(plug)) as service:
        with urllib.request.urlopen(f"{service.url}/v1/sources") as answer:
            sources = orjson.loads(answer.read())
        (dates,) = [source for source in sources["items"] if source["name"] == "dates"]
        assert (dates["origin"], dates["where"]) == ("file", str(plug / "dates.py"))
        (broken,) = sources["broken"]
        assert (broken["name"], broken["origin"], broken["where"]) == ("broken", "file", str(plug / "broken.py"))
        done = cli(
            "submit", tmp_path / "signed.txt", "--wait", "--json", "--goal", "date_mention", "--url", service.url
        )
        assert done.code == 0, done
        assert done.json()["outcome"]["coverage"]["dates"] == {"1": "done"}


@pytest.mark.long
@pytest.mark.parametrize("words", ["analyze signed.txt", "up --port 0", "sources list", "control"])
def test_a_name_taken_twice_and_a_folder_that_is_none(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    (tmp_path / "plug" / "again.py").write_text(DATES)
    monkeypatch.chdir(tmp_path)
    ran = cli(*words.split(), "--plugins", "plug")
    assert ran.code == 2, ran
    assert f"two sources are called 'dates': {tmp_path / 'plug' / 'again.py'} and " in ran.err
    assert "hint: rename one of them" in ran.err and "Traceback" not in ran.err
    ran = cli(*words.split(), "--plugins", "nowhere")
    assert (ran.code, "does not exist" in ran.err) == (2, True), ran


# -- new ---------------------------------------------------------------------------------------------------------------


def made(cli: Cli, into: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What a tool says of a new package."""
    ran = cli("sources", "new", name, "--into", into)
    assert ran.code == 0, ran
    folder = Path(ran.out.strip())
    assert folder == into / f"{name}-source"
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["dates", "abcdefghijklmnopqrstuvw"])
@pytest.mark.parametrize("words", [("check", "."), ("format", "--check", ".")])
def test_what_new_writes_is_clean(cli: Cli, tmp_path: Path, name: str, words: tuple[str, ...]) -> None:
    said = made(cli, tmp_path, name, "ruff", *words, "--no-cache")
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.long
def test_what_new_writes_is_typed(cli: Cli, tmp_path: Path) -> None:
    said = made(cli, tmp_path, "dates", "mypy", "--cache-dir", str(tmp_path / "mypy"))
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.long
def test_new_refuses_what_cannot_be(cli: Cli, tmp_path: Path) -> None:
    assert cli("sources", "new", "stamps", "--into", tmp_path, "--json").json()["folder"] == str(
        tmp_path / "stamps-source"
    )
    for name, said, hint in (
        ("stamps", "is there already", "--into"),
        ("Stamps", "is no name of a source", "lower-case"),
        ("../up", "is no name of a source", "lower-case"),
        ("x" * 24, "is no name of a source", "at most 23"),
        ("class", "cannot be the name of the function", "class_finder"),
        ("list", "cannot be the name of the function", "list_finder"),
        ("ocr", "is installed: knowledge_sources.ocr:ocr", "my-ocr"),
    ):
        ran = cli("sources", "new", name, "--into", tmp_path)
        assert (ran.code, ran.out) == (2, ""), ran
        assert said in ran.err and hint in ran.err, ran
    (tmp_path / "file").write_text("")
    ran = cli("sources", "new", "stamps", "--into", tmp_path / "file")
    assert (ran.code, "cannot be written" in ran.err) == (2, True), ran


# -- check -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["plug/dates.py", "plug", "package"])
def test_check_of_a_good_source_however_it_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "found.py").write_text(DATES)
    monkeypatch.chdir(tmp_path)
    ran = cli("sources", "check", what, "--json")
    assert ran.code == 0, ran
    found = findings(ran)
    assert found["warn"] == found["fail"] == []
    assert any(said.startswith("when: the same every time on") for said in found["ok"])


@pytest.mark.parametrize("what", ["plug/dates.py", "dates"])
def test_check_of_a_source_that_is_found_twice(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("sources", "check", what, "--plugins", "plug").code == 0, "the same, not a rival for its name"


@pytest.mark.long
def test_check_of_an_installed_source(cli: Cli) -> None:
    by_point, by_name = cli("sources", "check", "knowledge_sources.pages:pages"), cli("sources", "check", "pages")
    assert (by_point.code, by_name.code) == (0, 0)
    assert re.match(r"pages \d+ \(knowledge_sources.pages:pages\)\nok    contract", by_name.out)


def test_check_says_what_is_wrong(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chance.py").write_text(
        DATES.replace('when=lambda page: "Signed" in page.text', "bid=lambda page: 0.5").replace("dates", "pages")
    )
    ran = cli("sources", "check", tmp_path / "chance.py", "--json")
    assert ran.code == 1, ran
    assert not ran.json()["ok"]
    assert findings(ran)["fail"] == [
        "bid: it answered 0.5, a float and not a Bid",
        "name: 'pages' is taken by knowledge_sources.pages:pages",
    ]
    shown = cli("sources", "check", tmp_path / "chance.py")
    assert shown.code == 1
    assert "fail  bid" in shown.out and "hint: choose another with name=" in shown.out


def test_check_warns(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "lax.py").write_text(
        DATES.replace(', carries={"page": "number"}', "").replace("page: Each[Page]", "page: Each[Page], log: logging.Logger")
        .replace("import re", "import logging\nimport re")
    )  # fmt: skip
    ran = cli("sources", "check", tmp_path / "lax.py")
    assert ran.code == 0, ran
    assert "warn  inputs" in ran.out and "log is never read" in ran.out
    assert 'hint: add carries={"page": "number"}' in ran.out


@pytest.mark.long
def test_check_of_what_cannot_be_loaded(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(DATES.replace("page: Each[Page]", "page: Page"))
    ran = cli("sources", "check", tmp_path / "bad.py")
    assert ran.code == 1, ran
    assert "parameter 'page' is a bare Page" in ran.out and "write page: Each[Page]" in ran.out
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("")
    for what, said in (
        (tmp_path / "none.py", "there is neither a path nor an installed source"),
        ("nobody", "there is neither a path nor an installed source nobody"),
        (tmp_path / "empty", "holds neither a package nor a file of a source"),
        (tmp_path / "note.txt", "is no Python file"),
    ):
        ran = cli("sources", "check", what)
        assert (ran.code, ran.out, said in ran.err, "hint: " in ran.err) == (2, "", True, True), ran


# -- run ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, str, list[dict[str, Any]]]:
    """A board that has ended, with its log."""
    place = tmp_path_factory.mktemp("kept")
    cli = Cli(place / "data")
    (place / "signed.txt").write_text(SIGNED)
    (place / "dates.py").write_text(DATES)
    board = cli("analyze", place / "signed.txt", "--goal", "page", "--json").json()["board"]
    return cli, board, cli("log", board, "--json").lines()


@pytest.mark.long
def test_run_on_a_document_reads_no_more_than_it_needs(cli: Cli, tmp_path: Path) -> None:
    ran = cli("sources", "run", tmp_path / "plug" / "dates.py", "--on", tmp_path / "signed.txt", "--json")
    assert ran.json()["upstream"][:2] == ["intake", "layers"] and "summary" not in ran.json()["upstream"]
    (page,) = bindings(ran).values()
    assert (page["binding"], page["state"]) == ("page/0001", "done")
    assert [(each["key"], each["value"]["iso"]) for each in page["contributes"]] == [
        ("date_mention/0001-1", "2025-03-12"),
        ("date_mention/0001-2", "2025-04-12"),
    ]


@pytest.mark.long
@pytest.mark.parametrize("where", ["server", "file"])
@pytest.mark.parametrize("early", [False, True])
def test_run_on_a_board_as_it_stood(kept: tuple[Cli, str, list[dict[str, Any]]], where: str, early: bool) -> None:
    cli, board, log = kept
    plugin, exported = cli.data.parent / "dates.py", cli.data.parent / "board.jsonl"
    exported.write_bytes(b"\n".join(orjson.dumps(record) for record in log))
    written = next(record["revision"] for record in log if "page/0001" in record.get("entries", {}))
    on = f"{board if where == 'server' else exported}@{written - early}"
    found = bindings(cli("sources", "run", plugin, "--on", on, "--json"))
    if early:
        assert found.keys() == {""} and found[""]["state"] == "idle"
    else:
        assert [each["key"] for each in found["page/0001"]["contributes"]] == [
            "date_mention/0001-1",
            "date_mention/0001-2",
        ]
    if where == "server":
        assert cli("log", board, "--json").lines() == log, "nothing was written"


@pytest.mark.long
def test_run_beyond_the_end_of_a_board(kept: tuple[Cli, str, list[dict[str, Any]]]) -> None:
    cli, board, log = kept
    late = cli("sources", "run", "pages", "--on", f"{board}@{log[-1]['revision'] + 1}")
    assert (late.code, "has no revision" in late.err) == (2, True), late
    again = bindings(cli("sources", "run", "pages", "--on", board, "--json"))
    assert again["1"]["contributes"][0]["key"] == "page/0001", "what it had done itself is left out"


@pytest.mark.long
def test_run_says_what_a_finished_source_would_say_anew(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "invoice.txt"
    file.write_text(TEXT)
    board = cli("analyze", file, "--json", "--goal", "claim").json()["board"]
    claims = bindings(cli("sources", "run", "claims", "--on", board, "--json"))["page/0001"]["contributes"]
    assert claims
    for each in claims:
        assert cli("show", board, each["key"]).json() == each["value"]


@pytest.mark.long
def test_run_says_why_not(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "signed.txt").write_text("Nothing to see.\n")
    ran = cli("sources", "run", tmp_path / "plug" / "dates.py", "--on", tmp_path / "signed.txt")
    assert ran.code == 0, ran
    assert ran.out.startswith("page/0001  skipped: ") and "precondition" in ran.out
    assert "it would contribute 0 entries; nothing was written" in ran.err


@pytest.mark.long
def test_run_says_what_failed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "plug" / "dates.py").write_text(
        DATES.replace("    for hit", "    yield Page(number=1, text='')\n    for hit")
    )
    ran = cli("sources", "run", "dates", "--plugins", tmp_path / "plug", "--on", tmp_path / "signed.txt")
    assert ran.code == 1, ran
    assert "source dates contributed Page, but declares DateMention" in ran.out
    assert "hint: add it to the return type" in ran.out


@pytest.mark.long
def test_run_of_one_binding_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "two.md").write_text("# One\n\nSigned 2025-01-01.\n")
    plugin = tmp_path / "plug" / "dates.py"
    ran = bindings(cli("sources", "run", plugin, "--on", tmp_path / "two.md", "--binding", "page/0001", "--json"))
    assert ran.keys() == {"page/0001"}
    wrong = cli("sources", "run", plugin, "--on", tmp_path / "two.md", "--binding", "page/0007")
    assert (wrong.code, "there are: page/0001" in wrong.err) == (2, True), wrong


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nobody --on signed.txt", "neither a path nor an installed source nobody"),
        ("pages --on none.txt", "none.txt cannot be read"),
        ("pages --on signed.txt@3", "cannot be read"),
        ("pages --on none.jsonl", "there is no file"),
        ("pages --on 0-aaaaaaaaaaaaaaaaaaaaaaaaaa", "there is no board"),
        ("plug --on signed.txt", "holds several sources: dates, other"),
        ("plug --source third --on signed.txt", "holds no source third"),
        ("bad.py --on signed.txt", "cannot be loaded: ZeroDivisionError"),
        ("pages", "Missing option"),
    ],
)
def test_run_of_what_cannot_be(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    (tmp_path / "plug" / "two.py").write_text(DATES.replace("async def dates", "async def other"))
    (tmp_path / "bad.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    ran = cli("sources", "run", *words.split())
    assert (ran.code, ran.out, said in ran.err, "Traceback" in ran.err) == (2, "", True, False), ran


@pytest.mark.long
def test_run_of_one_source_of_several(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "plug" / "two.py").write_text(DATES.replace("async def dates", "async def other"))
    chosen = cli("sources", "run", tmp_path / "plug", "--source", "other", "--on", tmp_path / "signed.txt", "--json")
    assert chosen.json()["source"] == "other"


@pytest.mark.long
def test_run_as_a_worker_would(cli: Cli, tmp_path: Path) -> None:
    text = DATES.replace("import re\n", "import os\nimport re\n").replace("iso=hit", "iso=os.environ.get('HOME', '')")
    plugin, file = tmp_path / "home.py", tmp_path / "signed.txt"
    plugin.write_text(text)
    here = bindings(cli("sources", "run", plugin, "--on", file, "--json"))
    there = bindings(cli("sources", "run", plugin, "--on", file, "--isolated", "--json"))
    homes = [found["page/0001"]["contributes"][0]["value"]["iso"] for found in (here, there)]
    assert homes[0] == os.environ["HOME"] != homes[1], "a home of its own"
    refused = cli("sources", "run", "pages", "--on", file, "--isolated")
    assert (refused.code, "is built in" in refused.err) == (2, True), refused
