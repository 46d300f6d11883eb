"""Each script and its door say the same: header, door, and the names the script unpacks."""

from __future__ import annotations

import inspect
import re
from importlib.resources import files

import pytest
from redis.asyncio import Redis

from blackboard import doors
from blackboard.doors import SCRIPTS, Script
from blackboard.keys import Keys

EACH = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
# What a door takes under another name than the script's list of keys, because it is not a board's.
ONE_KEY = {
    "due",
    "snooze",
    "once",
    "depart",
    "hold",
    "release",
    "holds",
    "widen",
    "attend",
    "register",
    "admit",
    "keep_key",
    "doom",
    "undoom",
}


def test_every_script_has_a_door() -> None:
    there = {
        path.name.removesuffix(".lua")
        for path in (files("blackboard") / "scripts").iterdir()
        if path.name.endswith(".lua")
    }
    assert there == {script.name for script in SCRIPTS}


@EACH
def test_the_header_says_what_the_door_gives(script: Script) -> None:
    first = script.text.splitlines()[0]
    assert first.startswith(f"-- {script.name}: ")
    assert script.header == {"keys": script.keys, "args": script.args}
    assert re.search(r"^-- answers: .", script.text, re.MULTILINE)


@EACH
def test_the_script_unpacks_its_keys_in_the_header_s_order(script: Script) -> None:
    found = re.search(r"^local ([\w, ]+) = unpack\(KEYS\)$", script.text, re.MULTILINE)
    assert found is not None
    assert tuple(found[1].split(", ")) == script.keys


@EACH
def test_the_script_takes_its_arguments_in_the_header_s_order(script: Script) -> None:
    if script.name == "commit":
        taken = re.findall(r"^local ([\w, ]+) = ((?:take\(\)(?:, )?)+)$", script.text, re.MULTILINE)
        names = [name.removesuffix("_") for names, _ in taken for name in names.split(", ")]
        assert [name.removesuffix("_check") for name in names] == list(script.args[:13])
        return
    found = re.search(r"^local ([\w, ]+) = (?:unpack\(ARGV\)|ARGV\[1\])$", script.text, re.MULTILINE)
    if found is not None:
        assert tuple(found[1].split(", ")) == script.args
    else:
        assert len(script.args) == len(set(re.findall(r"ARGV\[(\d)", script.text)))


@EACH
def test_the_door_takes_what_the_header_says(script: Script) -> None:
    parameters = tuple(inspect.signature(getattr(doors, script.name)).parameters)
    keys = script.keys if script.name in ONE_KEY else ("keys",)
    assert parameters == (*keys, *script.args)


@EACH
def test_only_declared_keys_are_touched_and_no_user_data_decoded(script: Script) -> None:
    assert "cjson" not in script.text
    assert not re.search(r"redis\.call\('\w+', *['\"]", script.text)
    if script.name not in ONE_KEY:
        assert set(script.keys) <= set(Keys._fields)


@EACH
async def test_the_server_knows_it_by_the_same_digest(script: Script, redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.script_load(script.text) == script.sha
