"""The model gateway's scripts and their declarations say the same, as the store's do."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from blackboard.doors import Script
from knowledge_sources.llm import breaker, flight, limits

SCRIPTS = (breaker.ENTER, breaker.TELL, limits.PERMIT, limits.LEAVE, limits.SETTLE, *flight.SCRIPTS)
EACH = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


@EACH
def test_the_header_says_what_is_declared(script: Script) -> None:
    assert script.text.startswith(f"-- {script.name}: ")
    assert script.header == {"keys": script.keys, "args": script.args}
    assert re.search(r"^-- answers: .", script.text, re.MULTILINE)


@EACH
def test_keys_and_arguments_are_taken_in_the_declared_order(script: Script) -> None:
    keys = re.search(r"^local ([\w, ]+) = unpack\(KEYS\)$|^local (\w+) = KEYS\[1\]$", script.text, re.MULTILINE)
    assert keys is not None and tuple((keys[1] or keys[2]).split(", ")) == script.keys
    whole = re.search(r"^local ([\w, ]+) = unpack\(ARGV\)$", script.text, re.MULTILINE)
    if whole is not None:
        assert tuple(whole[1].split(", ")) == script.args
        return
    one_by_one = re.findall(r"^local ([\w, ]+) = ((?:tonumber\()?ARGV.*)$", script.text, re.MULTILINE)
    names = [name for row, _ in one_by_one for name in row.split(", ")]
    numbers = [int(number) for _, row in one_by_one for number in re.findall(r"ARGV\[(\d+)\]", row)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert tuple(names[: len(numbers)]) == script.args[: len(numbers)]


@EACH
def test_only_declared_keys_are_touched(script: Script) -> None:
    assert "cjson" not in script.text
    assert not re.search(r"redis\.call\('\w+', *['\"]", script.text)
    assert (files(script.package) / "scripts" / f"{script.name}.lua").is_file()
