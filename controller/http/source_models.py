"""Shapes of answers about sources, and to sources that run elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.http.models import Millis


class RegistrationModel(BaseModel):
    """What is known of a source that runs elsewhere. `last_heard`: when a worker of this version last was."""

    registrant: str
    shared: bool
    registered: Millis
    changed: Millis
    last_heard: Millis | None
    versions: list[str]
    levels: dict[str, dict[str, Any]]


class SourceInputModel(BaseModel):
    """What one input waits for. `by`: the field that a group's entries share."""

    parameter: str
    kind: str
    levels: list[str]
    by: str | None = None


class SourceModel(BaseModel):
    """A knowledge source as declared."""

    model_config = ConfigDict(extra="allow")

    name: str
    version: str
    inputs: list[SourceInputModel]
    outputs: Annotated[list[str], Field(description="Levels it contributes to.")]
    revises: Annotated[list[str], Field(description="Levels whose entries it may change, whoever wrote them.")]
    conditional: Annotated[bool, Field(description="Whether it looks at its inputs before it acts.")]
    bids: bool
    where: str
    trusted: bool
    required: bool
    default: bool
    asks_model: bool
    cost: str
    timeout_s: float
    idle_timeout_s: float | None
    priority: int
    concurrency: int
    attempts: int
    max_rounds: int | None
    origin: Literal["built-in", "installed", "file", "remote"]
    workers: Annotated[list[str], Field(description="Those that serve this version now.")]
    other_versions: Annotated[dict[str, int], Field(description="How many workers serve which other one.")]
    registration: RegistrationModel | None = None


class SourceList(BaseModel):
    """Knowledge sources that new boards include, and plug-ins that could not be loaded."""

    items: list[SourceModel]
    broken: list[dict[str, str]]


class InputEntryModel(BaseModel):
    """One entry that an activation reads."""

    key: str
    version: int
    owner: str
    confidence: float
    value: Any


class ClaimModel(BaseModel):
    """A claimed activation. `inputs`: parameter -> entries, whatever its kind; `attempt` counts from 1."""

    activation: str
    board: str
    epoch: int
    source: str
    version: str
    binding: str
    attempt: int
    lease_s: float
    lease_until: Millis
    timeout_s: float
    inputs: dict[str, list[InputEntryModel]]
    links: dict[str, str]


class RenewModel(BaseModel):
    """The lease goes on."""

    lease_s: float
    lease_until: Millis


class WrittenModel(BaseModel):
    """One contribution. `key`: where it landed (`asked~source`: beside somebody else's); `version` null: unchanged."""

    key: str
    asked: str
    version: int | None
    changed: bool


class CommitModel(BaseModel):
    """What a commit came to. `retracted`: what an earlier run wrote and this one did not."""

    status: Literal["running", "done", "failed", "pending"]
    revision: int
    already: bool
    entries: list[WrittenModel]
    retracted: list[str]
    final: bool | None = None
    retry_at: Millis | None = None
