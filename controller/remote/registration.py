"""A source that was registered over HTTP: what is kept of it, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from blackboard.contract import Source
from controller.access import DEFAULT_TENANT, Caller
from controller.remote.declaration import Declaration


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered source. Times are the server's, milliseconds since 1970. `schemas`: level -> (schema, named_by)."""

    source: Source
    declared: Declaration
    schemas: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]]
    tenant: str
    registrant: str
    registered: int
    changed: int
    versions: Mapping[str, str]
    """Every version declared so far -> digest of what its results depend on."""
    unregistered: int | None = None

    def seen_by(self, tenant: str) -> bool:
        """Whether a tenant knows of it, and its boards include it."""
        return self.declared.shared or self.tenant == tenant

    def worked_by(self, caller: Caller) -> bool:
        """Whether its activations are this caller's to do."""
        return caller.operates if self.declared.shared else self.tenant == caller.tenant

    def text(self) -> bytes:
        """As it is kept."""
        return orjson.dumps(
            {
                "declaration": self.declared.model_dump(by_alias=True),
                "levels": {level: {"schema": shape, "named_by": by} for level, (shape, by) in self.schemas.items()},
                "tenant": self.tenant,
                "registrant": self.registrant,
                "registered": self.registered,
                "changed": self.changed,
                "versions": self.versions,
                "unregistered": self.unregistered,
            },
            option=orjson.OPT_SORT_KEYS,
        )


def owner_of(text: bytes) -> str:
    """Whose a registration is; "" when that cannot be read. Before there were tenants all was the default one's."""
    try:
        return str(orjson.loads(text).get("tenant", DEFAULT_TENANT))
    except (orjson.JSONDecodeError, AttributeError):
        return ""
