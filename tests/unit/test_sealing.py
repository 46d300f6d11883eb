"""Secrets at rest: what opens what, where the key comes from, and that none of it shows."""

from __future__ import annotations

import stat
import threading
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard.errors import UsageError
from controller.sealing import Sealer, SecretUnreadable, key_id, parse_keys, sealer_of

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def text(*keys: bytes) -> str:
    """As an operator writes them."""
    return " ".join(b64encode(key).decode() for key in keys)


@settings(max_examples=20)
@given(st.binary(max_size=200), st.text(max_size=50))
def test_what_is_sealed_opens_for_the_same_thing_alone(secret: bytes, about: str) -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(secret, about)
    assert sealer.open(sealed, about) == secret
    assert sealed != sealer.seal(secret, about)
    with pytest.raises(SecretUnreadable):
        sealer.open(sealed, about + "x")


def test_a_key_is_changed_by_putting_another_before_it() -> None:
    sealed = Sealer([OLD]).seal(b"s", "wh")
    both = Sealer([NEW, OLD])
    assert both.open(sealed, "wh") == b"s"
    assert not both.current(sealed) and both.current(both.seal(b"s", "wh"))
    with pytest.raises(SecretUnreadable, match=key_id(OLD)):
        Sealer([NEW]).open(sealed, "wh")


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_what_was_tampered_with_does_not_open(cut: int) -> None:
    form, id, data = Sealer([OLD]).seal(b"secret", "wh").split(".")
    odd = {0: f"2.{id}.{data}", 1: f"{form}.{id}.{data[4:]}", -1: f"{form}.{id}.{data[:-4]}!"}[cut]
    with pytest.raises(SecretUnreadable):
        Sealer([OLD]).open(odd, "wh")


def test_keys_come_from_the_environment_a_file_or_are_drawn(tmp_path: Path) -> None:
    sealed = Sealer([OLD]).seal(b"s", "wh")
    file = tmp_path / "key"
    file.write_text(f"{text(NEW)},\n{text(OLD)}\n")
    assert sealer_of("", str(file), tmp_path).open(sealed, "wh") == b"s"
    assert sealer_of(text(OLD), str(tmp_path / "absent"), tmp_path).open(sealed, "wh") == b"s"
    drawn = sealer_of("", "", tmp_path / "data")
    assert not (tmp_path / "data").exists(), "nothing is drawn before it is needed"
    mine = drawn.seal(b"mine", "wh")
    place = tmp_path / "data" / "secret.key"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert sealer_of("", "", tmp_path / "data").open(mine, "wh") == b"mine"
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_processes_that_draw_at_once_come_to_one_key(tmp_path: Path) -> None:
    sealers = [sealer_of("", "", tmp_path) for _ in range(8)]
    sealed: list[str] = []
    threads = [threading.Thread(target=lambda each=each: sealed.append(each.seal(b"s", "wh"))) for each in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sealed) == 8
    assert all(each.open(one, "wh") == b"s" for each in sealers for one in sealed)


@pytest.mark.parametrize("odd", ["short", text(OLD)[:-8], "!" * 44, ", ,"])
def test_what_is_no_key_is_refused_without_being_repeated(odd: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_keys(odd, "BLACKBOARD_SECRET_KEY")
    assert odd not in str(caught.value)


def test_a_sealer_shows_no_key() -> None:
    assert repr(Sealer([OLD])) == f"Sealer({key_id(OLD)})"
    absent = sealer_of("", "/nowhere/at/all", Path("/nowhere"))
    with pytest.raises(UsageError):
        absent.check()
    with pytest.raises(UsageError):
        absent.seal(b"s", "wh")
