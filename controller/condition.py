"""What the doors ask about models: whether there are any, where, what they can do, and how they do."""

from __future__ import annotations

from typing import Any, Protocol


class Condition(Protocol):
    """Everything it gives is JSON, as `docs/models.md` describes it; a key is never in it."""

    @property
    def configured(self) -> bool:
        """Whether there is a model to ask."""

    async def look(self, *, tenant: str = "", probe: bool = False) -> dict[str, Any]:
        """How it stands now. `tenant`: whose spending is told, too; `probe`: ask the server what it can do, if nobody has
        for a day, with a few tiny calls. Raises nothing: what could not be found out is null.
        """
