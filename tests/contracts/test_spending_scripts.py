"""The scripts that count money say in their headers what their doors give."""

from __future__ import annotations

import re

import pytest
from redis.asyncio import Redis

from blackboard.doors import Script
from knowledge_sources.llm.caps import RESERVE, SETTLE
from knowledge_sources.llm.ledger import ENTER, SCRUB

EACH = pytest.mark.parametrize("script", (RESERVE, SETTLE, ENTER, SCRUB), ids=lambda script: script.name)


@EACH
def test_header_door_and_names_agree(script: Script) -> None:
    assert script.text.startswith(f"-- {script.name}: ")
    assert script.header == {"keys": script.keys, "args": script.args}
    assert re.search(r"^-- answers: .", script.text, re.MULTILINE)
    for given, names in (("KEYS", script.keys), ("ARGV", script.args)):
        found = re.search(rf"^local ([\w, ]+) = unpack\({given}\)$", script.text, re.MULTILINE)
        assert found is not None
        assert tuple(found[1].split(", ")) == names


@EACH
def test_only_declared_keys_are_touched(script: Script) -> None:
    assert "cjson" not in script.text
    assert not re.search(r"redis\.call\('\w+', *['\"]", script.text)


@EACH
async def test_the_server_takes_it(script: Script, redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        assert await client.script_load(script.text) == script.sha
