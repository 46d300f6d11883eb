"""The shape of an answer to why."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from controller.http.models import Millis


class ReasonModel(BaseModel):
    """Why a source acts on a binding, or does not. `source` is empty where it is about the whole board."""

    model_config = ConfigDict(extra="allow")

    source: str
    binding: str = ""
    state: str
    reason: str = ""
    waits_for: Annotated[
        list[Annotated[list[str | list[str]], Field(min_length=2, max_length=2)]],
        Field(description="Each a level that is not settled yet, and the sources that may still contribute to it."),
    ] = []
    activation: str = ""
    status: Annotated[str, Field(description="The activation's, where there is one.")] = ""
    epoch: int = 0
    attempts: int = 0
    retry_at: Millis | None = None
    lease_until: Millis | None = None
    lease_by: str = ""
    lease_since: Millis | None = None
    unserved_since: Annotated[Millis | None, Field(description="Since when no worker serves the source.")] = None


class WhyModel(BaseModel):
    """For every source and binding, why it acted or did not."""

    board: str
    reasons: list[ReasonModel]
