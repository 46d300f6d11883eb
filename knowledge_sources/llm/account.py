"""Whose limits a call counts against: the account at a server, and the class of models that share limits there."""

from __future__ import annotations

import re
from hashlib import sha256

from knowledge_sources.llm.ports import Endpoint
from knowledge_sources.llm.settings import ModelSettings

CLAUDE = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d+)(?![\d.])")
DATED = re.compile(r"([-@](\d{8}|latest))?(-v\d+)?(:\d+)?\Z")


def class_of(model: str) -> str:
    """The models that share limits with this one: `claude-sonnet-5` for every 5.x of it; others have limits of their own.

    Follows the vendor's page on rate limits, where all versions of a major one share. Models that share more than this are
    told apart by the server's headers alone; models that share less get less than they could have.
    """
    word = model.strip().lower().rpartition("/")[2]
    found = CLAUDE.search(word)
    if found is not None:
        return found[0]
    return DATED.sub("", word, count=1) or word


def account_of(settings: ModelSettings, endpoint: Endpoint) -> str:
    """`<digest of key and base URL>:<class of models>`; the key cannot be told from it."""
    url = endpoint.base_url.rstrip("/")
    key = settings.api_key.get_secret_value() if url == settings.base_url.rstrip("/") else ""
    for provider in settings.fallbacks:
        if not key and provider.base_url.rstrip("/") == url:
            key = provider.api_key.get_secret_value()
    digest = sha256("\0".join((key, url)).encode()).hexdigest()[:24]
    return f"{digest}:{class_of(endpoint.model)}"
