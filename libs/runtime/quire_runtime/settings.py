"""The settings that every service has. A service adds its own in a subclass; nothing else reads the environment."""

import socket
import sys
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from quire_contracts.topology import seconds

_SECRETS = "/run/secrets" if Path("/run/secrets").is_dir() else None


class ServiceSettings(BaseSettings):
    """Environment variables QUIRE_<NAME>, or files of that name in /run/secrets."""

    model_config = SettingsConfigDict(env_prefix="QUIRE_", extra="ignore", frozen=True, secrets_dir=_SECRETS)

    @classmethod
    def read(cls) -> Self:
        """The settings of this process; ends it with a line for each variable that cannot be used."""
        try:
            return cls()
        except ValidationError as error:
            problems = [f"QUIRE_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors() if one["loc"]]
            sys.exit("cannot start, the settings are not usable:\n  " + "\n  ".join(problems))

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535, description="0 takes a free port")
    instance: str = Field(default_factory=socket.gethostname, description="Name of this worker in logs and metrics")

    broker_url: str = "amqp://guest:guest@127.0.0.1:5672/"
    broker_namespace: str = "quire"
    retry_ladder: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None, description="Delays between deliveries, for example `1s 10s 1m`; by default the topology's"
    )
    prefetch: int | None = Field(default=None, ge=1, description="Messages in hand at once; by default the topology's")
    publish_timeout_s: float = Field(default=30, gt=0)
    postpone_deadline_s: float = Field(default=6 * 3600, gt=0, description="How long a message may be postponed in all")
    graceful_timeout_s: float = Field(default=25, gt=0, description="Below the pod's termination grace period")
    consumer_check_s: float = Field(
        default=5, gt=0, description="How often a consumer that the broker dropped is noticed"
    )

    database_url: str = "postgresql://quire:quire@127.0.0.1:5432/quire"
    database_pool: int = Field(default=8, ge=1)
    database_timeout_s: float = Field(default=30, gt=0)
    outbox_poll_s: float = Field(default=1, gt=0, description="How often the outbox is looked at without being told")
    outbox_batch: int = Field(default=200, ge=1)
    outbox_limit: int = Field(
        default=100_000, ge=1, description="Events waiting for the broker beyond which no upload is taken (503)"
    )

    redis_url: str = "redis://127.0.0.1:6379/0"

    store_url: str = Field(default="file:///var/lib/quire/objects", description="file:///folder or s3://bucket/prefix")
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None

    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP collector, for example http://collector:4318"
    )
    log_level: str = "INFO"

    @field_validator("retry_ladder", mode="before")
    @classmethod
    def _delays_are_words(cls, value: object) -> object:
        delays = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
        for delay in delays if isinstance(delays, tuple) else ():
            seconds(delay)
        return delays
