"""Settings: typed, described, read once, at the start of a stage: from the environment, else from files of secrets.

One class a stage, made of blocks for the outside systems it talks to. A wrong or missing setting raises
`SettingError`, which names the variable. The field's name in capitals is the variable's name, and in lower case the
name of its file in the folder ANMODEL_SECRETS.
"""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from anmodel.errors import SettingError
from anmodel.secret_files import authorities, check_identity, check_secrets

Port = Annotated[int, Field(ge=1, le=65535)]
Authorities = Annotated[str, AfterValidator(authorities)]


class Settings(BaseSettings):
    """What every stage has."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe line logged.")
    log_format: str = Field(
        "text", pattern="^(text|json)$", description="`text` for people, `json` for collectors of logs."
    )
    anmodel_secrets: str = Field("", description="Folder of files that hold settings, named like them in lower case.")
    secrets_poll_seconds: float = Field(10.0, gt=0, description="Seconds between looks whether those files changed.")
    secrets_spread_seconds: float = Field(
        30.0, ge=0, description="A service ends to take up changed files after a random part of so many seconds."
    )
    _secrets_seen: str = PrivateAttr("")

    @property
    def secrets_seen(self) -> str:
        """The fingerprint that the folder of secrets had just before these settings were read; empty without one."""
        return self._secrets_seen

    @classmethod
    def load(cls, **given: object) -> Self:
        """Read the environment and the files of secrets; the environment wins over them, and `given` (field names)
        over both. Raises `SettingError` naming every fault.
        """
        folder = str(given.get("anmodel_secrets") or os.environ.get("ANMODEL_SECRETS") or "")
        seen = check_secrets(Path(folder), cls.model_fields) if folder else ""
        values = {name: value for name, value in given.items() if value is not None}
        try:
            settings = cls(_secrets_dir=folder or None, **values)  # type: ignore[arg-type]
        except ValidationError as error:
            raise SettingError("\n".join(_fault(cls, item) for item in error.errors())) from error
        settings._secrets_seen = seen
        return settings


def _fault(cls: type[Settings], item: object) -> str:
    """One line for one of pydantic's error records: the variable, what came, what is allowed."""
    assert isinstance(item, dict)
    said = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return said  # of several settings together; it names them
    name = str(item["loc"][0])
    field = cls.model_fields.get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    if item["type"] == "missing":
        return f"{name.upper()} is not set{meaning}. Set it in the environment or in a file of ANMODEL_SECRETS."
    came = "" if field and field.annotation is SecretStr else f": got {item['input']!r}"
    return f"{name.upper()} is wrong{came}; {said}{meaning}."


class KafkaSettings(Settings):
    """Where the topics are."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Comma-separated Kafka brokers, host:port.")
    kafka_topic: str = Field("raw-events", description="Topic of accepted events.")
    kafka_dead_topic: str = Field("raw-events-dead", description="Topic of messages that cannot be stored.")
    kafka_security_protocol: str = Field(
        "PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="How to speak to the brokers: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_mechanism: str = Field(
        "SCRAM-SHA-512",
        pattern="^(SCRAM-SHA-512|SCRAM-SHA-256|PLAIN)$",
        description="How to log in, with SASL: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN.",
    )
    kafka_username: str = Field("", description="User to log in as, with SASL.")
    kafka_password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    kafka_ca: Authorities = Field(
        "", description="File of the certificates (PEM) to trust brokers by, with TLS; empty: those of the system."
    )
    kafka_certificate: str = Field("", description="File of the client's own certificate (PEM), for mutual TLS.")
    kafka_key: str = Field("", description="File of its key (PEM, unencrypted).")
    kafka_options: str = Field(
        "", description="More librdkafka options as `name=value`, separated by `;`; they win over all others."
    )

    @model_validator(mode="after")
    def _kafka_is_whole(self) -> Self:
        """What the protocol needs is there, and nothing that it would leave unused."""
        protocol = self.kafka_security_protocol
        needs = {"KAFKA_USERNAME": self.kafka_username, "KAFKA_PASSWORD": self.kafka_password.get_secret_value()}
        if protocol.startswith("SASL") and "sasl." not in self.kafka_options:
            for name in (name for name, value in needs.items() if not value):
                raise ValueError(f"{name} is not set; KAFKA_SECURITY_PROTOCOL={protocol} needs it.")
        files = {"KAFKA_CA": self.kafka_ca, "KAFKA_CERTIFICATE": self.kafka_certificate, "KAFKA_KEY": self.kafka_key}
        if not protocol.endswith("SSL") and "security.protocol" not in self.kafka_options:
            for name in (name for name, value in files.items() if value):
                raise ValueError(
                    f"{name} is set, but KAFKA_SECURITY_PROTOCOL={protocol} has no TLS; allowed with it: SSL, SASL_SSL."
                )
        if self.kafka_certificate or self.kafka_key:
            try:
                check_identity(self.kafka_certificate, self.kafka_key)
            except ValueError as error:
                pair = f"KAFKA_CERTIFICATE={self.kafka_certificate} and KAFKA_KEY={self.kafka_key}"
                raise ValueError(f"{pair} do not fit: {error}.") from error
        return self


class ClickHouseSettings(Settings):
    """Where the tables are."""

    clickhouse_host: str = Field("127.0.0.1", description="ClickHouse server.")
    clickhouse_port: Port = Field(8123, description="Its HTTP port.")
    clickhouse_secure: bool = Field(False, description="Speak HTTPS to it.")
    clickhouse_db: str = Field(
        "analytics", pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="Database of AnModel's tables."
    )
    clickhouse_user: str = Field("admin", description="ClickHouse user.")
    clickhouse_password: SecretStr = Field(description="Password of the ClickHouse user.")
    clickhouse_ca: Authorities = Field(
        "", description="File of the certificates (PEM) to trust it by, with HTTPS; empty: those of the system."
    )

    @model_validator(mode="after")
    def _clickhouse_is_whole(self) -> Self:
        """Nobody believes to speak HTTPS who does not."""
        if self.clickhouse_ca and not self.clickhouse_secure:
            raise ValueError("CLICKHOUSE_CA is set, but CLICKHOUSE_SECURE is not; set it to true, or leave both out.")
        return self


class LakeSettings(Settings):
    """Where the Parquet files are."""

    parquet_out: str = Field(description="The lake: a folder or s3://bucket/prefix.")


class UsersSettings(Settings):
    """Where the shop's users are."""

    users_url: str = Field("", description="SQLAlchemy URL of the users database. Empty: made up from PG_*.")
    pg_host: str = Field("localhost", description="Postgres server, used when USERS_URL is not set.")
    pg_port: Port = Field(5432, description="Postgres port.")
    pg_db: str = Field("postgres", description="Postgres database.")
    pg_user: str = Field("postgres", description="Postgres user.")
    pg_password: SecretStr = Field(SecretStr(""), description="Postgres password.")
    pg_sslmode: str = Field(
        "prefer",
        pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$",
        description="TLS to Postgres, in libpq's words: disable, allow, prefer, require, verify-ca or verify-full.",
    )
    pg_ca: Authorities = Field("", description="File of the certificates (PEM) to trust Postgres by.")
    pg_schema: str = Field("public", description="Postgres schema of the users table.")
    users_table: str = Field("users", pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the users table.")

    @model_validator(mode="after")
    def _postgres_is_whole(self) -> Self:
        """A certificate is checked by authorities that are named, and named ones are used."""
        mode = self.pg_sslmode
        if mode.startswith("verify") and not (self.pg_ca or self.users_url):
            raise ValueError(f"PG_CA is not set; PG_SSLMODE={mode} needs it.")
        if self.pg_ca and mode in ("disable", "allow", "prefer"):
            raise ValueError(
                f"PG_CA is set, but PG_SSLMODE={mode} checks no certificate; allowed with it: require, verify-ca, "
                "verify-full."
            )
        return self


class RegistrySettings(Settings):
    """Where the models are."""

    mlflow_tracking_uri: str = Field(description="MLflow: http(s)://server, or sqlite:///file on a laptop.")
    mlflow_artifacts: str = Field(
        "", description="Folder or s3:// of a new experiment's files; empty: the server's choice."
    )
    model_name: str = Field(
        "context_aware", pattern="^[a-z][a-z0-9_]*$", description="Name of the registered model and of the service."
    )


def _proxies(text: str) -> str:
    """Addresses and networks separated by commas, or `*`; what is neither would quietly trust nobody."""
    for item in text.split(","):
        if text != "*":
            ip_network(item.strip(), strict=False)
    return text


class RateSettings(Settings):
    """How many requests one client may make."""

    rate_limit: str = Field(
        "",
        pattern="^([1-9][0-9]{0,8}/(second|minute|hour|day))?$",
        description="Most requests of one client address, like `1000/minute`; past it 429. Empty: no limit.",
    )
    valkey_url: str = Field(
        "",
        pattern="^(valkeys?://.+)?$",
        description="Where the replicas count together, `valkey://host:6379`; empty: each counts for itself.",
    )
    valkey_password: SecretStr = Field(SecretStr(""), description="Password of Valkey's default user.")
    valkey_timeout: float = Field(1.0, gt=0, description="Seconds Valkey may take for a count; then it goes unchecked.")
    trusted_proxies: Annotated[str, AfterValidator(_proxies)] = Field(
        "127.0.0.1",
        description="Addresses or networks whose X-Forwarded-For tells the client, separated by commas; `*`: all.",
    )


class CollectorSettings(KafkaSettings, RateSettings):
    """Settings of the collector."""

    collector_host: str = Field("127.0.0.1", description="Address the collector listens on.")
    collector_port: Port = Field(8001, description="Port the collector listens on.")
    event_max_bytes: int = Field(262_144, ge=1_024, le=900_000, description="Largest event, bytes of JSON.")
    collect_max_bytes: int = Field(10_485_760, ge=1_024, description="Largest request body, bytes.")
    collect_max_events: int = Field(10_000, ge=1, description="Most events in one request.")
    event_max_age_days: int = Field(1825, ge=1, le=36_500, description="Events older than this many days are refused.")
    collect_body_seconds: float = Field(30.0, gt=0, description="Seconds a request's body may take to arrive.")
    delivery_timeout: float = Field(10.0, gt=0, description="Seconds an event may wait for the broker before 503.")
    max_waiting_events: int = Field(
        100_000, ge=1, description="Events that may wait for the broker; past it 503 at once."
    )


class ConsumerSettings(KafkaSettings, ClickHouseSettings):
    """Settings of the consumer."""

    consumer_group: str = Field("clickhouse-consumer-group", description="Kafka consumer group.")
    consumer_port: Port = Field(8002, description="Port of its /health, /ready and /metrics.")
    consumer_host: str = Field("127.0.0.1", description="Address of its /health, /ready and /metrics.")
    batch_size: int = Field(5000, ge=1, le=1_000_000, description="Rows in a block at most.")
    batch_timeout: float = Field(0.5, gt=0, description="Seconds a row waits at most for its block to fill.")
    max_inflight_inserts: int = Field(2, ge=1, le=64, description="Inserts under way at once.")
    insert_timeout: float = Field(60.0, gt=0, description="Seconds before an insert's outcome counts as unknown.")
    event_max_age_days: int = Field(1825, ge=1, le=36_500, description="Events older than this many days are refused.")


class MigrateSettings(ClickHouseSettings):
    """Settings of migrate."""

    events_ttl_days: int = Field(0, ge=0, description="Days events stay in ClickHouse; 0: for ever.")
    clickhouse_cluster: str = Field(
        "",
        pattern="^([A-Za-z_][A-Za-z0-9_-]*)?$",
        description="ClickHouse cluster to spread the tables over; empty: one server.",
    )


class GeneratorSettings(UsersSettings):
    """Settings of the generator and replay."""

    collector_url: str = Field("http://127.0.0.1:8001/collect", description="Where events are posted.")


class UsersExportSettings(UsersSettings, LakeSettings):
    """Settings of the users commands."""


class ExportSettings(ClickHouseSettings, LakeSettings, UsersSettings):
    """Settings of export."""

    export_days: int = Field(730, ge=1, description="Newest days to export.")
    parquet_batch: int = Field(100_000, ge=1_000, description="Rows in a Parquet row group.")


class TrendsSettings(LakeSettings):
    """Settings of trends."""

    serpapi_key: SecretStr = Field(SecretStr(""), description="SerpAPI key; without it the step is skipped.")
    serpapi_url: str = Field("https://serpapi.com/search.json", description="Address of the trends API.")
    trends_queries: str = Field(
        "shoes,blanket,phone,charger,jacket,backpack,watch", description="Search terms, separated by commas."
    )
    trends_regions: str = Field("UA-30,UA-40,UA-05", description="Regions as the API names them, separated by commas.")


class SnapshotSettings(LakeSettings):
    """Settings of snapshot."""

    horizon_days: int = Field(7, ge=1, le=90, description="Days ahead that a forecast speaks of.")
    snapshot_threads: int = Field(0, ge=0, description="Threads for the features' SQL; 0: as many as cores.")
    snapshot_memory_mb: int = Field(
        4096, ge=256, description="Memory for the features' SQL; past it the engine spills to disk."
    )


class TrainSettings(LakeSettings, RegistrySettings):
    """Settings of train."""

    train_threads: int = Field(0, ge=0, description="Threads for fitting; 0: as many as cores.")
    train_seed: int = Field(42, ge=0, description="Seed of everything random in training.")


class RegisterSettings(RegistrySettings, KafkaSettings, LakeSettings):
    """Settings of register."""

    model_topic: str = Field("model-events", description="Topic told of a new champion.")


class ScoreSettings(LakeSettings, RegistrySettings, ClickHouseSettings):
    """Settings of score."""

    reasons_users: int = Field(20_000, ge=0, description="Users given reasons at most, the likeliest ones.")


class MonitorSettings(LakeSettings, RegistrySettings, ClickHouseSettings):
    """Settings of monitor."""


class PredictorSettings(RegistrySettings):
    """Settings of the predictor."""

    predictor_host: str = Field("127.0.0.1", description="Address the predictor listens on.")
    predictor_port: Port = Field(8081, description="Port the predictor listens on.")
    champion_poll_seconds: float = Field(5.0, gt=0, description="Seconds between looks for a new champion.")


class GatewaySettings(ClickHouseSettings, UsersSettings, RateSettings):
    """Settings of the gateway."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: Port = Field(8000, description="Port the gateway listens on.")
    predictor_url: str = Field("http://127.0.0.1:8081", description="Where the predictor answers.")
    model_name: str = Field("context_aware", pattern="^[a-z][a-z0-9_]*$", description="Name of the served model.")
    predict_timeout: float = Field(5.0, gt=0, description="Seconds the predictor may take.")
    cors_origins: str = Field(
        "http://localhost:5173,http://127.0.0.1:5173",
        description="Origins that may call from a browser, separated by commas.",
    )


class MarketAppSettings(Settings):
    """Settings of the console's static server."""

    marketapp_host: str = Field("127.0.0.1", description="Address the console listens on.")
    marketapp_port: Port = Field(5173, description="Port the console listens on.")
    marketapp_dist: Path = Field(Path("MarketApp/dist"), description="Folder of the built console.")
    vite_api_base: str = Field("http://127.0.0.1:8000", description="The gateway, as the browser reaches it.")


class LaptopSettings(Settings):
    """Settings of the laptop's platform. Its ports move with the stages' own variables (COLLECTOR_PORT and so on)."""

    anmodel_home: Path = Field(Path(".anmodel"), description="Folder of all data, logs and state.")
    anmodel_cache: Path = Field(Path("~/.cache/anmodel"), description="Folder of downloads that projects share.")
    kafka_port: Port = Field(9092, description="Port of the laptop's Kafka.")
    clickhouse_port: Port = Field(8123, description="Port of the laptop's ClickHouse.")
    collector_port: Port = Field(8001, description="Port of the collector.")
    consumer_port: Port = Field(8002, description="Port of the consumer's /health, /ready and /metrics.")
    predictor_port: Port = Field(8081, description="Port of the predictor.")
    gateway_port: Port = Field(8000, description="Port of the gateway.")
    marketapp_port: Port = Field(5173, description="Port of the console.")
    mlflow_port: Port = Field(5000, description="Port of MLflow's UI, with --mlflow-ui.")
