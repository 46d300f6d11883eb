"""What is set about models: `BLACKBOARD_MODEL_*`. Frozen; made once where a process starts. Times in seconds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from blackboard.errors import UsageError

Positive = Annotated[float, Field(gt=0)]
ANTHROPIC = "https://api.anthropic.com"


Typed = Literal["auto", "server", "words"]


class PriceGiven(BaseModel):
    """Dollars for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cache_read: Annotated[float | None, Field(ge=0)] = None
    """None: a tenth of `input`."""
    cache_write: Annotated[float | None, Field(ge=0)] = None
    """None: a quarter more than `input`."""


class Provider(BaseModel):
    """Another server to fall back to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    api_key: SecretStr = SecretStr("")
    models: tuple[str, ...]


class ModelSettings(BaseSettings):
    """See docs/models.md for what each means to an operator."""

    model_config = SettingsConfigDict(
        env_prefix="BLACKBOARD_MODEL_", frozen=True, extra="ignore", env_nested_delimiter="__"
    )

    api_key: SecretStr = Field(default_factory=lambda: SecretStr(os.environ.get("ANTHROPIC_API_KEY", "")))
    base_url: str = Field(default_factory=lambda: os.environ.get("ANTHROPIC_BASE_URL", "") or ANTHROPIC)
    names: Annotated[tuple[str, ...], NoDecode] = ("claude-sonnet-5-5", "claude-haiku-5-5")
    """Models in the order they are asked; the next one where one is out of order."""
    fallbacks: tuple[Provider, ...] = ()
    """Other servers, asked when the first is out of order."""

    timeout_s: Positive = 60.0
    """Without a byte."""
    total_timeout_s: Annotated[float, Field(gt=0, le=600)] = 180.0
    """One call in all."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Tries of one call while the server is broken."""
    backoff_s: Positive = 1.0
    backoff_most_s: Positive = 30.0
    """Between two tries: anywhere between the first and its doublings, up to the second."""
    patience_s: Positive = 20.0
    """How long a call waits for room under a limit before its activation gives its place to others."""

    window_tokens: Annotated[int, Field(ge=1000)] = 150_000
    """Of a document in one question; longer ones are asked about by ranges of pages."""

    context_tokens: Annotated[int, Field(ge=2000)] = 200_000
    """Of a question and its answer together."""

    typed: Typed = "auto"
    """Who sees to an answer's form: the server, by its schema (`server`), or words in the question (`words`), so that all
    questions about a document find it in the prompt cache. `auto`: words where the document is long enough to be cached."""

    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """0: as the server's headers say."""
    input_tokens_per_minute: Annotated[int, Field(ge=0)] = 0
    output_tokens_per_minute: Annotated[int, Field(ge=0)] = 0
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Calls under way at a time, of the whole fleet, for each account and class of models."""

    board_usd: Annotated[float, Field(ge=0)] = 1.0
    """The most one board may cost, unless its own budget says less."""
    tenant_day_usd: Annotated[float, Field(ge=0)] = 20.0
    day_usd: Annotated[float, Field(ge=0)] = 100.0
    """Everybody's, in a day (UTC)."""
    alert_usd_per_hour: Annotated[float, Field(ge=0)] = 10.0
    """A tenant that spends faster is paused and told of; 0: never."""
    pause_s: Positive = 3600.0
    prices: dict[str, PriceGiven] = {}
    """Model -> price, instead of the table's and for models it does not know."""

    answers_s: Positive = 7 * 86_400.0
    """How long exact answers are kept."""
    cassette: Path | None = None
    """A folder of recorded answers: what it holds is not asked again. What it lacks is asked and recorded where
    `cassette_record`, and fails elsewhere."""
    cassette_record: bool = False

    @field_validator("names", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given

    @property
    def has_server(self) -> bool:
        """Whether there is a server to ask: a key, or an address that may need none."""
        return bool(self.api_key.get_secret_value()) or self.base_url.rstrip("/") != ANTHROPIC

    @property
    def configured(self) -> bool:
        """Whether there is a server to ask: a key, or an address that may need none."""
        return bool(self.api_key.get_secret_value()) or self.base_url.rstrip("/") != ANTHROPIC or bool(self.cassette)


def read_settings() -> ModelSettings:
    """From the environment. Raises UsageError that names what is off, and never says a secret."""
    try:
        return ModelSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "__".join(str(part) for part in first["loc"]).upper()
        said = first["msg"]
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        name, said = found[1].upper() if found else "*", "it is not JSON"
    raise UsageError(f"the setting BLACKBOARD_MODEL_{name} is off: {said}", hint="see docs/models.md")
