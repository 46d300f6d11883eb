"""A server's address in one form, so that the same server is one to limits, breakers, caches and prices."""

from __future__ import annotations

from urllib.parse import urlsplit

from blackboard.errors import UsageError


def address(base_url: str) -> str:
    """A server's address in the one form that limits, caches and prices go by. Raises UsageError for what is none.

    `/v1` at its end is left away: the client adds it.
    """
    try:
        parts = urlsplit(base_url.strip())
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    hint = "it looks like https://api.anthropic.com or http://127.0.0.1:11434"
    if not fine or parts.query or parts.fragment:
        raise UsageError("the address of the model's server is not one", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise UsageError("the address of the model's server holds a password", hint="use BLACKBOARD_MODEL_API_KEY")
    path = parts.path.rstrip("/").removesuffix("/messages").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"
