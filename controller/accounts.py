"""What the doors ask about spending on models. Everything they are given is JSON, as `docs/models.md` describes it."""

from __future__ import annotations

from typing import Any, Protocol


class Accounts(Protocol):
    """Every method may raise StorageUnavailable."""

    async def day(self, day: str = "", *, tenant: str | None = None) -> dict[str, Any]:
        """Sums, caps and pauses of a day (`yyyymmdd`, else today): one tenant's, or everybody's. Raises UsageError."""

    async def check(self, tenant: str, *, tokens: int = 0) -> None:
        """Raises BudgetExhausted when today's money or tokens are used up. `tokens`: the tenant's of a day; 0: any number."""

    async def board(self, board: str, *, tenant: str, after: str = "", limit: int = 50) -> dict[str, Any]:
        """A page of a board's calls, with its sums and its cap. Raises UsageError for a cursor that is none of its."""

    def prices(self) -> list[dict[str, Any]]:
        """What a million tokens of each known model cost, dollars; models that are asked go first, priced or not."""

    async def resume(self, tenant: str) -> bool:
        """End a tenant's pause; whether there was one."""
