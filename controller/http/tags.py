"""What the groups of operations are about, in the order in which a reader meets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TAGS: Final[Mapping[str, str]] = {
    "documents": "Submit a document. The answer comes at once and names the board that will hold its analysis.",
    "boards": "A board is the shared workspace of one document: look at it as it is or as it was, watch it, and steer it.",
    "entries": "What stands on a board. Every entry has a version; people correct and retract entries under its check.",
    "activations": "Who works on what: the agenda of a board, and the work of sources that run elsewhere.",
    "sources": "Knowledge sources: those installed here, and those registered to run elsewhere.",
    "blobs": "Bytes that boards refer to, by their SHA-256.",
    "events": "Everything that happens on all of a tenant's boards, as one stream.",
    "spending": "What language models cost, and what is left to spend.",
    "usage": "What a tenant may do, and how much of it is used.",
    "keys": "API keys, their scopes and limits.",
    "tenants": "Who shares this service.",
    "webhooks": "Who is told of what happens on boards, signed as Standard Webhooks says, and what came of it.",
    "capabilities": "What this service can do, and which language models stand behind it.",
    "health": "For whoever restarts processes and routes requests.",
    "metrics": "Figures for whoever watches over the service.",
}
