"""Where an answer leads, for OpenAPI: which of its values are the parameters of which operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

BOARD: Final = {"board": "$response.body#/id"}
SAME: Final = {"board": "$request.path.board"}
OF_BOARD: Final = (
    "boards.get", "boards.report", "boards.why", "boards.log", "boards.cancel", "boards.retry", "entries.list",
    "activations.list", "boards.calls", "boards.erase", "boards.fork", "boards.diff",
)  # fmt: skip
MAKING: Final = frozenset({"documents.submit", "boards.retry", "boards.backfill", "boards.fork"})
"""Operations that answer a board which may be a new one."""
ENTRY: Final = SAME | {"level": "$request.path.level", "name": "$request.path.name"}
CLAIMED: Final = {"activation": "$response.body#/activation"}
HOOK: Final = {"webhook": "$response.body#/id"}
KEY: Final = {"key": "$response.body#/id"}
LINKS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    **{id: dict.fromkeys(OF_BOARD, BOARD) for id in MAKING},
    "entries.put": {"entries.get": ENTRY, "entries.delete": ENTRY},
    "activations.claim": {"activations.renew": CLAIMED, "activations.commit": CLAIMED},
    "sources.put": {"sources.get": {"name": "$request.path.name"}, "sources.delete": {"name": "$request.path.name"}},
    "webhooks.create": dict.fromkeys(("webhooks.get", "webhooks.change", "webhooks.test", "webhooks.delete"), HOOK),
    "keys.create": {"keys.get": KEY, "keys.rotate": KEY, "keys.revoke": KEY},
}


def links_of(id: str, there: frozenset[str]) -> dict[str, Any]:
    """The `links` of an operation's good answers. `there`: the operations of the document."""
    return {
        to.replace(".", "_"): {"operationId": to, "parameters": dict(parameters)}
        for to, parameters in LINKS.get(id, {}).items()
        if to in there
    }
