"""Every setting, read from `BLACKBOARD_*`. Frozen; made once where a process starts and handed on. Times in seconds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from controller.policy import Modes

Positive = Annotated[float, Field(gt=0)]


def _data_dir() -> Path:
    return Path.home() / ".local" / "share" / "blackboard"


class Settings(BaseSettings):
    """See docs/operating.md for what each means to an operator."""

    model_config = SettingsConfigDict(env_prefix="BLACKBOARD_", frozen=True, extra="ignore")

    redis_url: str = ""
    """`redis://`, `rediss://` or `unix://`; empty: an embedded server in `data_dir`."""
    queue_url: str = ""
    """Where arq's queues live, if elsewhere (arq knows no Cluster)."""
    cluster: bool = False
    partitions: Annotated[int, Field(ge=1, le=1024)] = 16
    data_dir: Path = Field(default_factory=_data_dir)
    blob_url: str = ""
    """`file:///...`, `s3://...`; empty: the folder `blobs` in `data_dir`."""

    durable_replicas: Annotated[int, Field(ge=0, le=16)] = 0
    """Replicas that must have what a caller writes before the caller is answered; 0: none."""
    durable_wait_s: Annotated[float, Field(gt=0, le=4)] = 1.0
    """How long they are given."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Where health and metrics are told without a key, in any role; 0: nowhere."""
    metrics_host: str = "127.0.0.1"
    max_upload_bytes: Annotated[int, Field(gt=0)] = 25 * 1024 * 1024
    egress_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Networks that documents may be fetched from and webhooks sent to though they are not public: `10.0.0.0/8`."""
    fetch_timeout_s: Annotated[float, Field(gt=0, le=500)] = 60.0
    """How long fetching a document from its address may take."""
    webhook_timeout_s: Positive = 15.0
    """How long a webhook's receiver may take to answer."""
    webhook_pace: Positive = 1.0
    """Multiplies the waits between the attempts of a webhook: less than 1 to try things out."""
    secret_key: str = Field("", repr=False)
    """Seals the secrets that are kept; several, the first of which seals, while it is changed."""
    secret_key_file: str = ""
    """Where that is; with both empty in `data_dir`, drawn when it is needed."""
    ping_s: Positive = 15.0
    """How often an idle event stream says that it is alive."""
    limit_streams: Annotated[int, Field(ge=0)] = 100
    """Event streams one key may have open at a time, over all processes; 0: any number."""

    http_header_bytes: Annotated[int, Field(ge=1024)] = 16 * 1024
    """A request's header fields."""
    http_target_bytes: Annotated[int, Field(ge=256)] = 8 * 1024
    """A request's target: path and query."""
    http_header_s: Positive = 10.0
    """How long a request's header may take to arrive, from its first byte on."""
    http_body_s: Positive = 10.0
    """In each such time `http_body_rate` bytes a second must arrive of a body, unless it ends."""
    http_body_rate: Annotated[int, Field(ge=0)] = 500
    """0: a byte in each `http_body_s` will do."""
    http_keep_alive_s: Positive = 30.0
    """How long a connection is kept open for the next request."""
    http_write_s: Positive = 60.0
    """How long a client may take to read what a connection buffers."""
    http_connections: Annotated[int, Field(ge=1)] = 16_000
    """Connections of one process; fewer where it may not open as many files."""

    lease_s: Positive = 15.0
    """How long a worker owns an activation without renewing; it renews three times as often."""
    sweep_s: Positive = 5.0
    check_s: Positive = 10.0
    """How often an open board is looked at though nothing was heard of it."""
    wake_grace_s: Positive = 5.0
    """How long a wake-up may take before it is sent again."""
    drain_s: Positive = 25.0
    """How long a stopping worker finishes what it runs before it gives the rest back."""
    retention_s: Positive = 7 * 86_400.0
    """How long an ended board is kept."""
    child_depth: Annotated[int, Field(ge=0, le=100)] = 3
    """How deep child boards may be nested: 0 forbids them."""
    child_boards: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Child boards of one board."""
    child_total: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Boards below one top-level board, at any depth."""
    queue_limit: Annotated[int, Field(ge=0)] = 10_000
    """Wake-ups that may wait in all queues before new documents are refused with 503; 0: any number. One waits for each
    activation that nobody runs yet: five documents of the largest kind, or hundreds of ordinary ones."""
    poll_s: Positive = 0.5
    """How often a worker looks at its queues though nobody woke it."""
    slots: Annotated[int, Field(ge=1, le=1000)] = 64
    """Activations one worker process runs at a time."""
    reading_slots: Annotated[int, Field(ge=0)] = 0
    """OCR processes of one worker; 0: one for each two cores, at least one."""
    only: Annotated[tuple[str, ...], NoDecode] = ()
    """Sources this worker serves; empty: all."""
    plugins: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders whose `*.py` files are sources, too; separated as in PATH."""
    adopt_s: Positive = 300.0
    """How long a board waits for a worker of the version it began with, before it goes on with one that is served."""
    backoff_s: Positive = 1.0
    """Base of the full-jitter back-off between attempts; it doubles up to a minute."""

    first_key: SecretStr = SecretStr("")
    """A key, `bb_<id>_<secret>`, that is put in place once when a process starts to serve."""
    key_pepper: SecretStr = SecretStr("")
    """What keys are digested with; empty: drawn with the first key, and kept on the server."""
    limit_requests_per_minute: Annotated[int, Field(ge=0)] = 1200
    """Of one key that says nothing else; 0: any number."""
    limit_boards_in_flight: Annotated[int, Field(ge=0)] = 0
    """Boards that one tenant may have under way; 0: any number."""
    limit_tokens_per_day: Annotated[int, Field(ge=0)] = 0
    """Tokens that one tenant's calls of models may use in a UTC day before its documents that ask models are refused; 0:
    any number."""

    models: Annotated[Modes, NoDecode] = "off"
    """How language models take part where a submission does not say: `off`, `auto`, `always`, or JSON, level -> one of
    them. A key that happens to lie in the environment sends no document anywhere."""

    trusted: Annotated[tuple[str, ...], NoDecode] = ()
    """Third parties' sources that run in the worker itself; the others run in processes with limits."""
    plugin_memory_bytes: Annotated[int, Field(ge=128 * 1024 * 1024)] = 1024 * 1024 * 1024
    """Address space of such a process."""
    plugin_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many of them one worker keeps for a source: as many activations of it run at a time."""
    plugin_calls: Annotated[int, Field(ge=1)] = 500
    """Activations after which such a process is replaced; 1: a fresh one for each."""
    plugin_network: bool = False
    plugin_entries: Annotated[int, Field(ge=1)] = 10_000
    """Entries that one activation may contribute."""
    plugin_output_bytes: Annotated[int, Field(ge=1024 * 1024)] = 64 * 1024 * 1024
    """Bytes that one activation may contribute."""
    plugin_file_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Bytes that its temporary folder may hold."""

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("only", "trusted", "egress_allow", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        return tuple(word for word in given.replace(",", " ").split()) if isinstance(given, str) else given

    @field_validator("models", mode="before")
    @classmethod
    def _modes(cls, given: object) -> object:
        return orjson.loads(given) if isinstance(given, str) and given.lstrip().startswith("{") else given

    @field_validator("plugins", mode="before")
    @classmethod
    def _folders(cls, given: object) -> object:
        # Whole, so that a process started elsewhere finds them too.
        parts = given.split(os.pathsep) if isinstance(given, str) else given
        if not isinstance(parts, (list, tuple)):
            return given
        return tuple(Path(part).expanduser().absolute() for part in parts if str(part))

    @property
    def blobs(self) -> str:
        """The blob store's URL or folder."""
        return self.blob_url or str(self.data_dir / "blobs")

    @property
    def check_ms(self) -> int:
        """`check_s` in milliseconds."""
        return int(self.check_s * 1000)

    @property
    def adopt_ms(self) -> int:
        """`adopt_s` in milliseconds."""
        return int(self.adopt_s * 1000)

    @property
    def lease_ms(self) -> int:
        """`lease_s` in milliseconds."""
        return int(self.lease_s * 1000)

    @property
    def wake_grace_ms(self) -> int:
        """`wake_grace_s` in milliseconds."""
        return int(self.wake_grace_s * 1000)
