"""`blackboard keys` on a data directory, and the service that stands on it."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from controller.credentials import KEY
from tests.end_to_end.command import Cli, until


def status(url: str, secret: str = "") -> int:
    """What a listing of boards is answered with."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/boards", headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


@pytest.mark.long
def test_keys_of_a_running_service(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert "there is no key yet" in refused.err
    assert "hint: make the first one: `blackboard keys create NAME --scopes all`" in refused.err
    with cli.running("serve", "--port", "0") as running:
        assert "no key is asked for" in running.said("no key is asked for.*")[0]
        assert status(running.url) == 200
        made = cli("keys", "create", "root", "--scopes", "all")
        assert made.code == 0, made.err
        secret = made.out.strip()
        assert KEY.match(secret)
        assert secret not in made.err
        assert "it is the first key" in made.err
        until(lambda: status(running.url) == 401, 5)
        assert status(running.url, secret) == 200
        rotated = cli("keys", "rotate", "root", "--overlap", "0s", "--json").json()
        assert (status(running.url, secret), status(running.url, rotated["secret"])) == (401, 200)
        listed = cli("keys", "list", "--json").json()["items"]
        assert [(each["id"], each["name"], each["status"]) for each in listed] == [(rotated["id"], "root", "active")]
        assert "secret" not in listed[0]
        revoked = cli("keys", "revoke", rotated["id"])
        assert (revoked.code, revoked.out) == (0, "")
        assert status(running.url, rotated["secret"]) == 401
    assert not any(each in running.log.read_text() for each in (secret, rotated["secret"]))


@pytest.mark.long
def test_what_is_off_is_said(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    for words, said in (
        (("rotate", "nobody"), "there is no key nobody"),
        (("create", "x", "--scopes", "write"), "there is no scope write"),
        (("create", "x y"), "a name is 1 to 63 letters"),
        (("create", "x", "--expires", "soon"), "--expires soon: it must be a number and s, m, h or d"),
    ):
        failed = cli("keys", *words)
        assert (failed.code, failed.out) == (2, "")
        assert said in failed.err
    assert "there is no key yet" in cli("keys", "list").err
