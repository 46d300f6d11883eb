"""A running service, and the commands that talk to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.command import TEXT, Cli, Ran, Running, ids, until

TERMINAL = ("board.completed", "board.failed", "board.cancelled")
SLOW = "\n\n".join(f"Clause {n}. The parties agreed on {n * 17} days and {n * 1000} EUR in total." for n in range(600))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a document to submit."""
    found = tmp_path_factory.mktemp("service")
    (found / "invoice.txt").write_text(TEXT)
    (found / "long.txt").write_text(SLOW)
    return found


@pytest.fixture(scope="module")
def up(place: Path) -> Iterator[tuple[Cli, Running]]:
    """`blackboard up` on a free port, and a command line that knows it."""
    with Cli(place / "data").running("up", "--port", "0") as running:
        yield Cli(place / "data", {"BLACKBOARD_URL": running.url}), running


def history(ran: Ran) -> list[str]:
    """The ids of the records a watcher printed, progress aside."""
    return [event["id"] for event in ran.lines() if event["type"] != "activation.progressed"]


def test_up_tells_where_it_listens_and_how_to_begin(up: tuple[Cli, Running]) -> None:
    _, running = up
    assert f"curl -F file=@document.pdf {running.url}/v1/documents" in running.said(r"try: .*")[0]


def test_submit_and_watch(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (id,) = ids(cli("submit", place / "invoice.txt"))
    watched = cli("watch", id, "--json")
    assert watched.code == 0, watched
    events = watched.lines()
    assert history(watched) == [f"{n}-0" for n in range(1, len(history(watched)) + 1)]
    assert events[-1]["type"] == "board.completed"
    assert "completed" in watched.err
    again = cli("watch", id)
    assert (again.code, len(again.out.splitlines())) == (0, len(history(watched)))
    assert [orjson.loads(line) for line in cli("log", id, "--json").out.splitlines()] == [
        event for event in events if event["type"] != "activation.progressed"
    ]


@pytest.mark.long
def test_submit_several_and_wait(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    broken = place / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing of a document\n")
    ran = cli("submit", place / "invoice.txt", broken, "--wait")
    assert ran.code == 1, ran
    good, bad = ids(ran)
    assert f"board {good} completed" in ran.err
    assert f"board {bad} failed: " in ran.err
    letters = cli("show", bad, "--dead", "--json").json()
    assert [letter["source"] for letter in letters] == ["intake"]
    assert letters[0]["error"]["message"] in ran.err


@pytest.mark.long
def test_a_killed_watcher_goes_on_where_it_stopped(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (id,) = ids(cli("submit", place / "long.txt"))
    watcher = cli.start("watch", id, "--json")
    assert watcher.stdout is not None
    seen: list[dict[str, Any]] = []
    while len(seen) < 8:
        event = orjson.loads(watcher.stdout.readline())
        if event["type"] != "activation.progressed":
            seen.append(event)
    watcher.kill()
    watcher.communicate()
    assert seen[-1]["type"] not in TERMINAL
    rest = cli("watch", id, "--json", "--after", f"{seen[-1]['incarnation']}.{seen[-1]['id']}")
    assert rest.code == 0, rest
    whole = [event["id"] for event in seen] + history(rest)
    assert whole == [f"{n}-0" for n in range(1, len(whole) + 1)]
    assert rest.lines()[-1]["type"] == "board.completed"
    assert history(cli("watch", id, "--json", "--after", f"{seen[-1]['incarnation']}.{whole[-1]}")) == []


@pytest.mark.long
def test_held_and_approved(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (held,) = ids(cli("submit", place / "invoice.txt", "--hold"))
    assert cli("watch", held, "--timeout", "0.2").code == 4
    assert ids(cli("approve", held)) == [held]
    assert cli("watch", held).code == 0


@pytest.mark.long
def test_listings_are_tables_for_people_and_lines_for_programs(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (id,) = ids(cli("submit", place / "invoice.txt", "--wait", "--goal", "page"))
    lines = cli("boards", "--limit", "1").lines()
    assert [(line["id"], line["status"], line["filename"]) for line in lines] == [(id, "completed", "invoice.txt")]
    assert cli("boards", "--limit", "1", "--table").out.splitlines()[1].split()[:2] == [id, "completed"]
    near = Cli(cli.data, {"BLACKBOARD_URL": ""})("boards", "--limit", "1").lines()
    assert [line["id"] for line in near] == [id], "with no service the data directory tells"
    reasons = cli("why", id).lines()
    assert reasons == cli("why", id, "--json").json() and reasons[0]["state"] == "completed"
    assert cli("log", id).out == cli("log", id, "--json").out == cli("watch", id).out
    assert cli("log", id, "--table").out == cli("watch", id, "--table").out
    completing = Cli(cli.data, {**cli.more, "_BLACKBOARD_COMPLETE": "complete_bash", "COMP_CWORD": "2"})
    completing.more["COMP_WORDS"] = f"blackboard watch {id[:6]}"
    assert id in completing().out.split()
    completing.more["BLACKBOARD_URL"] = "http://127.0.0.1:1"
    assert (completing().out.strip(), completing().err) == ("", "")


@pytest.mark.long
def test_all_boards_are_watched_without_an_id(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    watcher = cli.start("watch", "--json")
    assert watcher.stdout is not None
    try:
        # It begins with the moment it is heard: a second board ends, if the first one was too quick for it.
        for _ in range(2):
            ids(cli("submit", place / "invoice.txt", "--wait", "--goal", "page"))
        while (change := orjson.loads(watcher.stdout.readline()))["type"] != "board.completed":
            assert change["status"] == "open"
        assert change["board"] and change["revision"] > 1 and change["id"].startswith("t1.")
    finally:
        watcher.kill()
        watcher.communicate()
    assert cli("watch", "--data", cli.data).code == 2


@pytest.mark.long
def test_a_service_that_asks_for_a_key(tmp_path: Path) -> None:
    file = tmp_path / "invoice.txt"
    file.write_text(TEXT)
    cli = Cli(tmp_path / "data")
    secret = cli("keys", "create", "ann", "--scopes", "read,submit").out.strip()
    with cli.running("up", "--port", "0") as running:
        asking = Cli(cli.data, {"BLACKBOARD_URL": running.url})
        refused = asking("submit", file)
        assert (refused.code, refused.out) == (2, "") and "BLACKBOARD_API_KEY" in refused.err
        known = Cli(cli.data, {"BLACKBOARD_URL": running.url, "BLACKBOARD_API_KEY": secret})
        (id,) = ids(known("submit", file, "--wait"))
        assert known("show", id, "--json").json()["status"] == "completed"
        assert asking("boards", "--api-key", secret).lines()[0]["id"] == id
        forbidden = known("erase", id, "--yes")
        assert forbidden.code == 2 and "scopes" in forbidden.err
        for ran in (refused, forbidden, known("--debug", "show", "3-" + "a" * 26), known("submit", "--help")):
            assert secret not in ran.out + ran.err


@pytest.mark.long
def test_cancelled_and_retried(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (doomed,) = ids(cli("submit", place / "invoice.txt", "--hold"))
    assert ids(cli("cancel", doomed)) == [doomed]
    assert cli("watch", doomed).code == 1
    assert cli("show", doomed, "--json").json()["status"] == "cancelled"
    assert ids(cli("cancel", doomed)) == [doomed]
    refused = cli("approve", doomed)
    assert (refused.code, refused.out) == (1, "")
    (fork,) = ids(cli("retry", doomed))
    assert fork != doomed
    assert cli("show", fork, "--json").json()["head"]["parent"].startswith(f"{doomed}@")


@pytest.mark.long
def test_watching_without_a_door(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (id,) = ids(cli("submit", place / "long.txt"))
    near = cli("watch", id, "--json", "--data", cli.data)
    assert near.code == 0, near
    assert history(near) == history(cli("watch", id, "--json"))
    assert near.lines()[-1]["type"] == "board.completed"
    assert cli("watch", "3-" + "a" * 26, "--data", cli.data).code == 2


@pytest.mark.long
def test_show_why_and_replay_over_http(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    (id,) = ids(cli("submit", place / "invoice.txt", "--wait"))
    there, here = cli("show", id, "--json").json(), Cli(cli.data)("show", id, "--json").json()
    assert there == here
    assert cli("why", id, "--json").json()[0]["state"] == "completed"
    assert cli("replay", id, "--verify").code == 0
    byte_for_byte = Cli(cli.data)("replay", id, "--verify", "--json").json()
    assert (byte_for_byte["equal"], byte_for_byte["against"]) == (True, "server")


@pytest.mark.long
def test_refusals(up: tuple[Cli, Running], place: Path) -> None:
    cli, _ = up
    for words, code, said in (
        (("watch", "3-" + "a" * 26), 2, "knows no such board"),
        (("cancel", "nonsense"), 2, "knows no such board"),
        (("submit", place / "invoice.txt", "--sources", "nobody"), 2, "no such source"),
        (("submit", place / "invoice.txt", "--priority", "now"), 2, "priority"),
        (("submit", place / "invoice.txt", "--url", "http://127.0.0.1:1"), 3, "start one with `blackboard up`"),
        (("watch", "3-" + "a" * 26, "--url", "http://127.0.0.1:1"), 3, "no service answers at http://127.0.0.1:1"),
        (("watch", "3-" + "a" * 26, "--url", "ftp://x"), 2, "not a service's address"),
    ):
        ran = cli(*words)
        assert (ran.code, ran.out) == (code, ""), ran
        assert said in ran.err and "Traceback" not in ran.err, ran


def test_a_taken_port_is_said_plainly(up: tuple[Cli, Running], place: Path) -> None:
    _, running = up
    port = running.url.rpartition(":")[2]
    ran = Cli(place / "other")("serve", "--port", port)
    assert ran.code == 2, ran
    assert f"cannot listen on 127.0.0.1:{port}" in ran.err


@pytest.mark.long
def test_one_process_for_each_role_and_a_lost_door(tmp_path: Path) -> None:
    """Roles in processes of their own on one data directory; the watcher outlives the door it watches through."""
    file = tmp_path / "invoice.txt"
    file.write_text(TEXT)
    cli = Cli(tmp_path / "data")
    with cli.running("serve", "--port", "0") as door:
        url = door.url
        asking = Cli(cli.data, {"BLACKBOARD_URL": url})
        (id,) = ids(asking("submit", file))
        watcher = asking.start("watch", id, "--json")
        assert watcher.stdout is not None
        first = orjson.loads(watcher.stdout.readline())
        assert first["id"] == "1-0"
        door.process.send_signal(signal.SIGTERM)
        assert door.process.wait(10) == 0
        with (
            cli.running("serve", "--port", url.rpartition(":")[2]) as again,
            cli.running("control"),
            cli.running("worker"),
        ):
            again.said("listens on")
            out, err = watcher.communicate(timeout=25)
            assert watcher.returncode == 0, err
            events = [orjson.loads(line) for line in out.splitlines()]
            numbers = [event["id"] for event in events if event["type"] != "activation.progressed"]
            assert numbers == [f"{n}-0" for n in range(2, len(numbers) + 2)]
            assert events[-1]["type"] == "board.completed"


@pytest.mark.parametrize("role", ["up", "control", pytest.param("worker", marks=pytest.mark.long)])
def test_a_signal_drains_and_exits_0(tmp_path: Path, role: str) -> None:
    words = [role, "--port", "0"] if role == "up" else [role]
    with Cli(tmp_path / "data").running(*words) as running:
        running.said("Ctrl-C drains and stops")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0
        assert "Traceback" not in running.log.read_text()


@pytest.mark.long
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text(SLOW)
    cli = Cli(tmp_path / "data")
    with cli.running("up", "--port", "0") as running:
        asking = Cli(cli.data, {"BLACKBOARD_URL": running.url})
        (id,) = ids(asking("submit", file))
        until(lambda: "activation.claimed" in asking("log", id).out)
        running.process.send_signal(signal.SIGTERM)
        running.said("stopping")
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(5) in (0, 128 + signal.SIGTERM)
        assert time.monotonic() - began < 3


@pytest.mark.long
def test_a_worker_for_a_source_nobody_has(tmp_path: Path) -> None:
    ran = Cli(tmp_path / "data")("worker", "--only", "ocr,oracle")
    assert ran.code == 2, ran
    assert "there is no source oracle" in ran.err
