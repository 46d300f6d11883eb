"""Fixtures: our own server, or the one that `BLACKBOARD_TEST_BASE_URL` names."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.models.server import ModelServer, serving

OTHER = "BLACKBOARD_TEST_BASE_URL"


@dataclass(frozen=True)
class ModelAt:
    """A model at a server, to be called by tests that hold for any."""

    base_url: str
    api_key: str
    model: str


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    """Our own server, fault script and all. Tests that use it are marked `scripted`."""
    async with serving() as server:
        yield server


@pytest.fixture
async def model_at() -> AsyncIterator[ModelAt]:
    """What `BLACKBOARD_TEST_BASE_URL`, `..._API_KEY` and `..._MODEL` name; our own server without them."""
    if url := os.environ.get(OTHER):
        key = os.environ.get("BLACKBOARD_TEST_API_KEY") or os.environ.get("ANTHROPIC_API_KEY", "")
        yield ModelAt(url, key, os.environ.get("BLACKBOARD_TEST_MODEL") or "claude-haiku-5-5")
        return
    async with serving() as server:
        yield ModelAt(server.url, "sk-test", "claude-haiku-5-5")


def mark_scripted(items: list[pytest.Item]) -> None:
    """Mark what needs the fault script, and leave it out where another server is asked."""
    for item in items:
        if "model_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.scripted)
        if os.environ.get(OTHER) and "scripted" in item.keywords:
            item.add_marker(pytest.mark.skip(reason=f"needs the fault script; {OTHER} names another server"))
