"""Blocks of settings: one class an outside system. A stage's settings are made of those it talks to."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from anmodel.secret_files import check_identity
from anmodel.settings.base import Authorities, Port, Settings


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


class ModelSettings(Settings):
    """Which model."""

    model_name: str = Field(
        "context_aware", pattern="^[a-z][a-z0-9_]*$", description="Name of the registered model and of the service."
    )


class RegistrySettings(ModelSettings):
    """Where the models are."""

    mlflow_tracking_uri: str = Field(description="MLflow: http(s)://server, or sqlite:///file on a laptop.")
    mlflow_artifacts: str = Field(
        "", description="Folder or s3:// of a new experiment's files; empty: the server's choice."
    )


class ModelEventsSettings(KafkaSettings):
    """Where news of models are told: a new champion, a version rejected, alarms of the monitor."""

    model_topic: str = Field("model-events", description="Topic of news about models.")


class KubernetesSettings(Settings):
    """Where KServe's InferenceServices are."""

    kubernetes_namespace: str = Field(
        "", description="Namespace of the InferenceServices; empty: the pod's own, or the kubeconfig's."
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
