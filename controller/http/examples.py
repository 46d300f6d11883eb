"""Examples for OpenAPI: what is sent to each operation, and what it answers. A test holds every one against its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.http import example_values as of

REQUESTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "documents.submit": {
        "application/json": {
            "text": {"text": "Signed in Basel on 6 May 2024.", "filename": "note.txt"},
            "options": {"text": "Signed in Basel on 6 May 2024.", "priority": "batch", "deadline_s": 600},
        },
        "multipart/form-data": {"file": {"file": "%PDF-1.7 ...", "priority": "interactive"}},
    },
    "boards.retry": {"application/json": {"all": {}, "one": {"activation": "pages.7c8051052e2471924580"}}},
    "boards.fork": {"application/json": {"last": {}, "earlier": {"at": 12}}},
    "boards.cancel": {"application/json": {"nothing": {}}},
    "boards.approve": {"application/json": {"nothing": {}}},
    "boards.backfill": {"application/json": {"nothing": {}}},
    "entries.put": {"application/json": {"page": of.PAGE}},
    "boards.commit": {
        "application/json": {
            "correct": {"writes": [{"key": of.PLACE, "value": of.PAGE}], "checks": {of.PLACE: 1}, "id": "8e03978e"},
            "retract": {"writes": [{"op": "retract", "key": of.PLACE}], "revision": 24},
        }
    },
    "activations.claim": {"application/json": {"claim": {"sources": ["dates@1"], "worker": "lab-1", "wait_s": 0}}},
    "activations.renew": {
        "application/json": {
            "plain": {"board": of.BOARD, "epoch": 1},
            "progress": {"board": of.BOARD, "epoch": 1, "progress": {"done": 3, "total": 10, "note": "reading"}},
        }
    },
    "activations.commit": {
        "application/json": {
            "done": of.COMMIT,
            "failed": {
                "board": of.BOARD,
                "epoch": 1,
                "n": 1,
                "status": "failed",
                "error": {"message": "no dates here"},
            },
        }
    },
    "sources.put": {"application/json": {"dates": of.DATES}},
    "keys.create": {
        "application/json": {
            "plain": {"name": "scanner"},
            "limited": {"name": "scanner", "scopes": ["submit", "read"], "requests_per_minute": 60},
        }
    },
    "keys.rotate": {"application/json": {"plain": {}, "at-once": {"overlap_s": 0}}},
    "webhooks.create": {
        "application/json": {
            "plain": {"url": of.HOOK["url"]},
            "all": {"url": of.HOOK["url"], "events": of.HOOK["events"], "description": "archive"},
        }
    },
    "webhooks.change": {"application/json": {"disable": {"enabled": False}}},
    "webhooks.rotate": {"application/json": {"plain": {}, "at-once": {"overlap_s": 0}}},
    "webhooks.test": {"application/json": {"nothing": {}}},
    "webhooks.redeliver": {"application/json": {"one": {"delivery": of.DELIVERY["id"]}, "failed": {"since": of.SENT}}},
}
"""Operation -> media type -> name -> what is sent."""

ANSWERS: Final[Mapping[str, Mapping[int, Any]]] = {
    "documents.submit": {202: of.OPEN},
    "boards.list": {200: {"items": [of.ENDED], "next_cursor": None}},
    "boards.get": {200: of.ENDED},
    "boards.why": {200: {"board": of.BOARD, "reasons": [of.REASON]}},
    "boards.cancel": {200: of.CANCELLED, 202: of.OPEN},
    "boards.approve": {202: of.OPEN},
    "boards.retry": {202: of.FORK},
    "boards.fork": {202: of.FORK},
    "boards.diff": {200: of.DIFF},
    "boards.backfill": {202: of.FORK},
    "boards.report": {200: of.REPORT},
    "entries.list": {200: {"board": of.BOARD, "revision": 24, "items": [of.ENTRY]}},
    "entries.get": {200: of.ENTRY},
    "boards.commit": {200: of.CORRECTED},
    "entries.put": {200: of.PUT, 201: of.PUT | {"version": 1}},
    "activations.list": {200: {"board": of.BOARD, "revision": 24, "items": [of.RUN]}},
    "activations.claim": {200: of.CLAIM},
    "activations.renew": {200: {"lease_s": 15.0, "lease_until": of.SENT + 30_400}},
    "activations.commit": {200: of.COMMITTED},
    "sources.list": {200: {"items": [of.SOURCE], "broken": []}},
    "sources.get": {200: of.SOURCE},
    "sources.put": {200: of.SOURCE, 201: of.SOURCE},
    "spending.get": {
        200: {
            "day": "2026-11-21",
            "totals": of.FIGURES,
            "by": of.BY | {"board": [{"board": of.BOARD, **of.FIGURES}]},
            "caps": {"tenants": [{"tenant": "default", **of.CAP}]},
            "pauses": [],
        }
    },
    "boards.calls": {
        200: {
            "board": of.BOARD,
            "items": [of.CALL],
            "next_cursor": None,
            "totals": of.FIGURES,
            "by": of.BY,
            "cap": of.CAP,
        }
    },
    "capabilities.get": {
        200: {
            "version": "0.1.0",
            "levels": ["page", "report", "summary"],
            "max_upload_bytes": 26_214_400,
            "models": {"default": "off", "configured": False},
        }
    },
    "keys.create": {201: of.SECRET},
    "keys.list": {200: {"items": [of.KEY], "next_cursor": None}},
    "keys.get": {200: of.KEY},
    "keys.rotate": {200: of.SECRET},
    "webhooks.create": {201: of.HOOK | {"secret": "whsec_..."}},
    "webhooks.list": {200: {"items": [of.HOOK]}},
    "webhooks.get": {200: of.HOOK},
    "webhooks.change": {200: of.HOOK},
    "webhooks.rotate": {200: of.HOOK | {"secret": "whsec_..."}},
    "webhooks.test": {202: of.DELIVERY},
    "webhooks.deliveries": {200: {"items": [of.DELIVERY], "next_cursor": None}},
    "webhooks.delivery": {200: of.DELIVERY},
    "webhooks.redeliver": {202: {"redelivered": 1}},
    "health.live": {200: {"status": "ok"}},
    "health.ready": {
        200: {"status": "ready", "checks": {"storage": {"ok": True, "ms": 0.5}}},
        503: {"status": "unavailable", "checks": {"storage": {"ok": False, "error": "storage-unavailable", "ms": 2.1}}},
    },
}
"""Operation -> status -> what is answered."""


def message(kind: str) -> dict[str, Any]:
    """What a webhook is sent."""
    if not kind.startswith("board."):
        return {"type": kind, "timestamp": of.MESSAGE["timestamp"], "data": {}}
    status = {"board.created": "open"}.get(kind, kind.partition(".")[2])
    return of.MESSAGE | {"type": kind, "data": of.MESSAGE["data"] | {"status": status}}
