"""Values that examples for OpenAPI are made of: one board, what stands on it, and who worked on it."""

from __future__ import annotations

from typing import Any, Final

BOARD: Final = "7-k3v2aqkq4f4xw5jq6nqzvtn3ma"
PLACE: Final = "page/0001"
ACTIVATION: Final = "dates.5bd27e0d5c0fb2ad12f1"
DIGEST: Final = "1137183cfdd7373c2ffe03624ad81f6e"
SENT: Final = 1795264209770
"""Milliseconds since 1970."""

SOURCES = {"intake": "3", "layers": "1", "pages": "1", "summary": "1", "report": "1"}
LINKS = {
    "self": f"/v1/boards/{BOARD}",
    **{what: f"/v1/boards/{BOARD}/{what}" for what in ("report", "entries", "events", "log", "why", "activations")},
}
OPEN: dict[str, Any] = {
    "id": BOARD,
    "status": "open",
    "revision": 1,
    "incarnation": "4c3320a33ae0",
    "created": SENT,
    "filename": "contract.pdf",
    "goal": ["report"],
    "sources": SOURCES,
    "priority": "interactive",
    "policy": {},
    "models": "off",
    "links": LINKS,
}
OUTCOME = {
    "slug": "complete",
    "reason": "every goal is settled",
    "disputes": 0,
    "degraded": [],
    "coverage": {"layers": {"0001": "done"}, "pages": {"0001": "done"}, "report": {"board": "done"}},
    "cost_usd": 0.0,
}
ENDED = OPEN | {"status": "completed", "revision": 24, "ended": SENT + 2_310, "outcome": OUTCOME}
CANCELLED = OPEN | {
    "status": "cancelled",
    "revision": 9,
    "ended": SENT + 900,
    "cancelled_by": "person:anonymous",
    "outcome": OUTCOME | {"slug": "cancelled", "reason": "cancelled by person:anonymous", "coverage": {}},
}
FORK = OPEN | {
    "id": "7-x2mbdq5h6kqkq4f4xw5jq6nqzv",
    "parent": f"{BOARD}@24",
    "links": {name: link.replace(BOARD, "7-x2mbdq5h6kqkq4f4xw5jq6nqzv") for name, link in LINKS.items()},
}
PAGE = {"number": 1, "text": "Signed in Basel on 6 May 2024."}
DIFF = {
    "board": BOARD,
    "from": 3,
    "to": 4,
    "head": {},
    "entries": [
        {
            "key": PLACE,
            "kind": "added",
            "from_version": 0,
            "to_version": 1,
            "owner": "pages",
            "before": None,
            "value": PAGE,
        }
    ],
    "activations": {"pages.7c8051052e2471924580": ["running", "done"]},
}
CORRECTED = {
    "board": BOARD,
    "revision": 25,
    "at": 1732190405000,
    "already": False,
    "entries": [{"key": PLACE, "version": 2, "changed": True}],
}
ENTRY: dict[str, Any] = {
    "key": PLACE,
    "level": "page",
    "name": "0001",
    "version": 1,
    "confidence": 0.97,
    "owner": "pages",
    "pinned": False,
    "activation": "pages.7c8051052e2471924580",
    "digest": DIGEST,
    "size": 54,
    "value": PAGE,
}
PUT = ENTRY | {"version": 2, "confidence": 1.0, "owner": "person:anonymous", "pinned": True, "activation": ""}
RUN = {
    "id": "pages.7c8051052e2471924580",
    "status": "done",
    "epoch": 1,
    "source": "pages",
    "version": "1",
    "binding": "0001",
    "inputs": [{"key": "layer/0001", "version": 1, "checked": True}],
    "wrote": [PLACE],
    "pending_at": SENT + 40,
    "claimed_at": SENT + 41,
    "finished_at": SENT + 66,
}
REASON = {
    "source": "report",
    "binding": "board",
    "state": "waiting",
    "reason": "waits for summary, which is not settled",
    "waits_for": [["summary", ["summary"]]],
    "activation": "",
    "status": "",
    "epoch": 0,
    "attempts": 0,
    "retry_at": None,
    "lease_until": None,
    "lease_by": "",
    "lease_since": None,
    "unserved_since": None,
}
DATES = {
    "version": "1",
    "inputs": [{"parameter": "page", "kind": "each", "levels": ["page"]}],
    "outputs": [
        {
            "level": "date_mention",
            "schema": {
                "type": "object",
                "properties": {"iso": {"type": "string"}, "page": {"type": "integer"}},
                "required": ["iso", "page"],
            },
        }
    ],
    "carries": {"page": "number"},
}
SOURCE = {
    "name": "dates",
    "version": "1",
    "inputs": DATES["inputs"],
    "outputs": ["date_mention"],
    "revises": [],
    "conditional": False,
    "bids": False,
    "origin": "remote",
    "where": "person:anonymous",
    "trusted": False,
    "required": False,
    "default": True,
    "asks_model": False,
    "cost": "free",
    "timeout_s": 300.0,
    "idle_timeout_s": None,
    "priority": 0,
    "concurrency": 64,
    "attempts": 4,
    "max_rounds": None,
    "workers": ["lab-1"],
    "other_versions": {},
}
CLAIM = {
    "activation": ACTIVATION,
    "board": BOARD,
    "epoch": 1,
    "source": "dates",
    "version": "1",
    "binding": PLACE,
    "attempt": 1,
    "lease_s": 15.0,
    "lease_until": SENT + 15_400,
    "timeout_s": 300.0,
    "inputs": {"page": [{"key": PLACE, "version": 1, "owner": "pages", "confidence": 0.97, "value": PAGE}]},
    "links": {
        "renew": f"/v1/activations/{ACTIVATION}/renew",
        "commits": f"/v1/activations/{ACTIVATION}/commits",
        "board": f"/v1/boards/{BOARD}",
        "blob": f"/v1/blobs/{{sha256}}?board={BOARD}",
    },
}
COMMIT = {
    "board": BOARD,
    "epoch": 1,
    "n": 1,
    "entries": [{"level": "date_mention", "value": {"iso": "2024-05-06", "page": 1}}],
    "status": "done",
}
WRITTEN = {"key": "date_mention/0001-1", "asked": "date_mention/0001-1", "version": 1, "changed": True}
COMMITTED = {
    "status": "done", "revision": 17, "already": False, "entries": [WRITTEN], "retracted": [], "final": True,
}  # fmt: skip
FIGURES = {
    "calls": 3,
    "usd": 0.0123,
    "failed": 0,
    "unknown": 0,
    "unpriced": 0,
    "input_tokens": 2_100,
    "output_tokens": 420,
    "cache_read_tokens": 6_300,
    "cache_write_tokens": 2_100,
    "cached_share": 0.6,
    "cache_saved_usd": 0.0151,
    "avoided_calls": 1,
    "avoided_usd": 0.004,
    "mean_latency_ms": 1_840,
}
BY = {
    "source": [{"source": "summary_model", **FIGURES}],
    "model": [{"model": "a-model", **FIGURES}],
    "outcome": [{"outcome": "answered", **FIGURES}],
}
CAP = {"cap_usd": 20.0, "spent_usd": 0.0123, "reserved_usd": 0.0, "left_usd": 19.9877}
CALL = {
    "id": "1795264209771-0",
    "at": SENT + 200,
    "source": "summary_model",
    "binding": "board",
    "activation": "summary_model.04f53fe53aa924936e94",
    "epoch": 1,
    "server": "https://models.example",
    "model": "a-model",
    "prompt": "summary@3f1c",
    "request": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "outcome": "answered",
    "usd": 0.0041,
    "saved_usd": 0.005,
    "input_tokens": 700,
    "output_tokens": 140,
    "cache_read_tokens": 2_100,
    "cache_write_tokens": 700,
    "failure": "",
    "request_id": "req_1",
    "latency_ms": 1_840,
}
REPORT = {
    "board": BOARD,
    "status": "open",
    "revision": 12,
    "partial": True,
    "outcome": None,
    "report": None,
    "contributions": {"page": [ENTRY]},
}
KEY = {
    "id": "k3v2aqkq4f4xw5jq",
    "name": "scanner",
    "tenant": "default",
    "scopes": ["submit", "read"],
    "status": "active",
    "created": SENT,
    "created_by": "person:admin",
    "expires": None,
    "last_used": None,
    "rotated": None,
    "overlap_until": None,
    "revoked": None,
    "requests_per_minute": 60,
    "streams": None,
}
SECRET = KEY | {"secret": "bb_k3v2aqkq4f4xw5jq_..."}
HOOK: dict[str, Any] = {
    "id": "wh_k3v2aqkq4f4xw5jq6nqzvtn3ma",
    "url": "https://example.com/hooks/blackboard",
    "events": ["board.completed", "board.failed"],
    "description": "archive",
    "enabled": True,
    "created": SENT,
    "changed": SENT,
    "links": {"self": "/v1/webhooks/wh_k3v2aqkq4f4xw5jq6nqzvtn3ma"},
}
DELIVERY: dict[str, Any] = {
    "id": "msg_k3v2aqkq4f4xw5jq6nqzvtn3ma",
    "type": "board.completed",
    "board": BOARD,
    "status": "delivered",
    "created": SENT + 2_310,
    "next_attempt": None,
    "attempts": [{"at": SENT + 2_320, "ms": 84, "status": 204, "error": None}],
    "links": {"self": f"{HOOK['links']['self']}/deliveries/msg_k3v2aqkq4f4xw5jq6nqzvtn3ma"},
}
MESSAGE: dict[str, Any] = {
    "type": "board.completed",
    "timestamp": "2026-11-21T12:30:09Z",
    "data": {"board": BOARD, "revision": 24, "links": {"self": f"/v1/boards/{BOARD}"}},
}
