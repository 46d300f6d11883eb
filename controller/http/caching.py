"""What caches may keep: answers about boards that have ended, for a minute, each key's apart (RFC 9110, RFC 9111).

A board that has ended never changes again, but it may be erased, and keys may be revoked: a minute later no cache answers for
it. `public`, because a shared cache may otherwise keep nothing that was asked for with a key; `Vary`, because the same board
is not there for another tenant's.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from controller.http.etags import unchanged_tag
from controller.views import BoardView

KEPT_S = 60


def caching(view: BoardView, tag: object) -> dict[str, str]:
    """The headers of an answer about a board as it is seen here; `tag`: what changes with the answer."""
    if not view.ended:
        return {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "Vary": "Authorization"}
    lasting = f"public, max-age={KEPT_S}, must-revalidate"
    return {"ETag": f'"{tag}"', "Cache-Control": lasting, "Vary": "Authorization"}


def not_modified(request: Request, view: BoardView, tag: object) -> Response | None:
    """A 304 where If-None-Match names the tag. Raises Problem invalid-header."""
    if not unchanged_tag(request, str(tag)):
        return None
    return Response(status_code=304, headers=caching(view, tag))
