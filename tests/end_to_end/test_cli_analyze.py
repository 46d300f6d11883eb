"""`analyze`, and what can be asked of its boards afterwards with no service running."""

from __future__ import annotations

import gzip
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest

from tests.end_to_end.command import EXAMPLES, TEXT, Cli, until


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, dict[str, object]]:
    """One text analyzed in a data directory that several tests look at."""
    place = tmp_path_factory.mktemp("analyzed")
    cli, file = Cli(place / "data"), place / "invoice.txt"
    file.write_text(TEXT)
    ran = cli("analyze", file, "--json")
    assert ran.code == 0, ran
    return cli, ran.json()


@pytest.mark.long
def test_the_result_as_json(analyzed: tuple[Cli, dict[str, object]]) -> None:
    _, result = analyzed
    assert result["status"] == "completed"
    assert result["outcome"]["slug"] == "complete"  # type: ignore[index]
    report = result["report"]
    assert isinstance(report, dict)
    assert (report["kind"], report["pages"]) == ("txt", 1)
    assert report["fields"]["total"].startswith("35.50")


def test_the_report_is_printed_and_progress_told(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text(TEXT)
    ran = Cli(tmp_path / "data")("analyze", file)
    assert ran.code == 0, ran
    assert "INV-2041" in ran.out
    assert "source" in ran.out and "✓ done" in ran.out
    assert "intake" in ran.err and "report" in ran.err
    assert "completed in" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.long
def test_several_files_at_once_and_one_that_fails(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.pdf"
    good.write_text(TEXT)
    bad.write_bytes(b"%PDF-1.7\nnothing of a document\n")
    ran = Cli(tmp_path / "data")("analyze", good, bad, "--json")
    assert ran.code == 1, ran
    first, second = ran.lines()
    assert (first["file"], first["status"]) == (str(good), "completed")
    assert (second["file"], second["status"], second["report"]) == (str(bad), "failed", None)
    assert second["outcome"]["reason"]


@pytest.mark.long
def test_a_deadline_that_passes(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text(TEXT)
    ran = Cli(tmp_path / "data")("analyze", file, "--deadline", "0.001", "--json")
    # With nothing contributed in time the board fails; with something it is a partial result, timed out.
    assert ran.code in (1, 4), ran
    assert ran.json()["outcome"]["slug"] == "deadline"
    assert (ran.code == 4) == (ran.json()["status"] == "completed")


@pytest.mark.long
def test_wrong_words_exit_2(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    file = tmp_path / "note.txt"
    file.write_text(TEXT)
    for words, said in (
        (("analyze", tmp_path / "none.pdf"), "cannot be read: No such file"),
        (("analyze", tmp_path), "is a folder"),
        (("analyze",), "Missing argument"),
        (("analyze", file, "--sources", "nobody"), "no such source"),
        (("analyze", file, "--goal", "wisdom"), "no chosen source contributes to it"),
        (("frobnicate",), "No such command"),
        (("show", "not-an-id"), "there is no board"),
        (("replay", tmp_path / "none.jsonl"), "there is no file"),
    ):
        ran = cli(*words)
        assert ran.code == 2, ran
        assert said in ran.err, ran
        assert ran.out == "" and "Traceback" not in ran.err


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    ran = Cli(tmp_path / "data", {"BLACKBOARD_PARTITIONS": "0"})("show", "0-aaaaaaaaaaaaaaaaaaaaaaaaaa")
    assert ran.code == 2
    assert "BLACKBOARD_PARTITIONS" in ran.err


@pytest.mark.long
def test_replay_equals_the_board_and_its_exported_log(analyzed: tuple[Cli, dict[str, object]], tmp_path: Path) -> None:
    cli, result = analyzed
    id = str(result["board"])
    ran = cli("replay", id, "--verify")
    assert (ran.code, "byte for byte" in ran.out) == (0, True), ran
    exported = cli("log", id, "--json")
    assert len(exported.lines()) == result["revision"]
    for name, data in (("log.jsonl", exported.out.encode()), ("log.jsonl.gz", gzip.compress(exported.out.encode()))):
        (tmp_path / name).write_bytes(data)
        ran = cli("replay", tmp_path / name, "--verify", "--json")
        assert ran.code == 0, ran
        assert (ran.json()["equal"], ran.json()["records"]) == (True, result["revision"])
    of_file, of_board = cli("replay", tmp_path / "log.jsonl", "--json").json(), cli("show", id, "--json").json()
    assert {**of_file, "board": id} == of_board
    assert of_board["status"] == "completed"


@pytest.mark.long
def test_a_log_that_was_edited_exits_5(analyzed: tuple[Cli, dict[str, object]], tmp_path: Path) -> None:
    cli, result = analyzed
    lines = cli("log", str(result["board"]), "--json").out.splitlines()
    cut = tmp_path / "cut.jsonl"
    cut.write_text("\n".join(lines[:3] + lines[4:]))
    ran = cli("replay", cut, "--verify")
    assert (ran.code, "jumps from revision 3 to 5" in ran.err) == (5, True), ran
    forged = tmp_path / "forged.jsonl"
    forged.write_text("\n".join(lines).replace("35.50", "95.50"))
    ran = cli("replay", forged, "--verify")
    assert (ran.code, "not what its header promises" in ran.err) == (5, True), ran


@pytest.mark.long
def test_show_log_and_why_of_the_past(analyzed: tuple[Cli, dict[str, object]]) -> None:
    cli, result = analyzed
    id = str(result["board"])
    early = cli("show", id, "--at", "1", "--json").json()
    assert [entry["key"] for entry in early["entries"]] == ["upload/original"]
    assert (early["revision"], early["last_revision"], early["status"]) == (1, result["revision"], "open")
    assert orjson.loads(cli("show", id, "page/0001").out)["text"].startswith("ACME Widgets")
    assert "no activation failed for good" in cli("show", id, "--dead").err


@pytest.mark.long
def test_its_steps_and_its_reasons(analyzed: tuple[Cli, dict[str, object]]) -> None:
    cli, result = analyzed
    id = str(result["board"])
    assert cli("log", id, "--table").out.splitlines()[0].split()[:3] == ["1-0", "0.000s", "board.created"]
    assert cli("replay", id, "--step").out.count("contribution.committed") > 5
    assert cli("show", id, "--at", "999").code == 2
    why = cli("why", id, "--json")
    assert why.code == 0, why
    assert {reason["source"] for reason in why.json()} >= {"intake", "layers", "ocr", "report"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.long
def test_an_interrupt_leaves_the_board_for_later(tmp_path: Path, number: signal.Signals, code: int) -> None:
    if not (EXAMPLES / "scanned-invoice.pdf").exists():
        pytest.skip("examples/scanned-invoice.pdf is not there")
    cli = Cli(tmp_path / "data")
    process = cli.start("analyze", EXAMPLES / "scanned-invoice.pdf")
    until(lambda: (tmp_path / "data" / "blobs").is_dir() and any((tmp_path / "data" / "blobs").rglob("*/*")))
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "Traceback" not in err
    # Nothing of it is left running.
    assert not (tmp_path / "data" / "server" / "server.pid").exists()


@pytest.mark.long
def test_the_shipped_scan(tmp_path: Path) -> None:
    scan = EXAMPLES / "scanned-invoice.pdf"
    if not scan.exists():
        pytest.skip("examples/scanned-invoice.pdf is not there")
    ran = Cli(tmp_path / "data")("analyze", scan, "--json")
    assert ran.code == 0, ran
    result = ran.json()
    assert result["status"] == "completed"
    assert "done" in result["outcome"]["coverage"]["ocr"].values()
    assert result["report"]["pages_read"] == result["report"]["pages"] >= 1
    assert result["report"]["fields"]


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ["fastapi", "anthropic", "pydantic", "pydantic_settings", "rapidocr", "rich.live", "arq", "redis"]
    probe = f"import sys, controller.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.long
def test_doctor_and_sources(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    ran = cli("doctor", "--json")
    assert ran.code == 0, ran
    names = {check["name"]: check["state"] for check in ran.json()["checks"]}
    assert names["server"] == names["blobs"] == names["ocr"] == names["sources"] == "ok"
    assert cli("doctor", "--quiet").out.count("fail") == 0
    listed = cli("sources", "list", "--json")
    assert listed.code == 0
    assert {"intake", "ocr", "report"} <= {source["name"] for source in listed.json()["sources"]}


@pytest.mark.long
def test_a_broken_plug_in_is_told_and_harms_nobody(tmp_path: Path) -> None:
    plugin = tmp_path / "site" / "dates-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: dates\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[blackboard.knowledge_sources]\ndates = no_such_module:dates\n")
    cli, file = Cli(tmp_path / "data", {"PYTHONPATH": str(plugin.parent)}), tmp_path / "note.txt"
    file.write_text(TEXT)
    listed = cli("sources", "list")
    assert listed.code == 1
    assert "broken: dates (no_such_module:dates): ModuleNotFoundError" in listed.err
    ran = cli("analyze", file)
    assert ran.code == 0, ran
    assert "warning: the source dates" in ran.err


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    (tmp_path / "note.txt").write_text(TEXT)
    ran = Cli(tmp_path / "data")("analyze", tmp_path / "note.txt")
    assert (ran.code, ran.out) == (2, ""), ran
    assert "error: " in ran.err and "Traceback" not in ran.err


def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a folder should be")
    more = {"BLACKBOARD_REDIS_URL": "redis://127.0.0.1:1/0", "BLACKBOARD_BLOB_URL": str(tmp_path / "blobs")}
    ran = Cli(tmp_path / "data", more)("doctor")
    assert ran.code == 1, ran
    assert "fail  server" in ran.out and "fail  blobs" in ran.out and "hint:" in ran.out


@pytest.mark.long
def test_a_service_beside_that_lacks_a_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shout.py").write_text(
        "from blackboard import Each, Level, Page, knowledge_source\n\n\n"
        "class Shout(Level):\n    text: str\n\n\n"
        "@knowledge_source()\ndef shout(page: Each[Page]) -> Shout:\n    return Shout(text=page.text.upper())\n"
    )
    (tmp_path / "note.txt").write_text("A note of some words.")
    cli = Cli(tmp_path / "data")
    with cli.running("up", "--port", "0") as service:
        assert service.url
        ran = cli("analyze", tmp_path / "note.txt", "--plugins", tmp_path / "plugins")
        assert (ran.code, "does not have shout" in ran.err, "--data DIR" in ran.err) == (2, True, True), ran
        assert cli("analyze", tmp_path / "note.txt").code == 0, "with the same sources it joins the service"


class Note(BaseHTTPRequestHandler):
    """One document, at any path."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT.encode())))
        self.end_headers()
        self.wfile.write(TEXT.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.mark.long
def test_an_address(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a//note.txt?x=1"
        cli = Cli(tmp_path / "data")
        refused = cli("analyze", url)
        assert (refused.code, refused.out) == (2, "")
        assert "address" in refused.err
        ran = Cli(tmp_path / "data", {"BLACKBOARD_EGRESS_ALLOW": "127.0.0.1/32"})("analyze", url, "--json")
        server.shutdown()
    assert ran.code == 0, ran.err
    result = ran.json()
    assert (result["file"], result["status"]) == (url, "completed")
    assert "35.50" in str(result["report"])
    shown = cli("show", result["board"], "upload/original", "--json").json()
    assert "note.txt" in str(shown)
