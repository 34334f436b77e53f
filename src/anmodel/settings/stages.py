"""The settings of each stage, and of the laptop."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from anmodel.settings.base import Port, Settings
from anmodel.settings.systems import (
    ClickHouseSettings,
    KafkaSettings,
    KubernetesSettings,
    LakeSettings,
    ModelEventsSettings,
    ModelSettings,
    RateSettings,
    RegistrySettings,
    UsersSettings,
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
    max_waiting_bytes: int = Field(
        134_217_728,
        ge=1_048_576,
        description="Bytes of events that may wait for the broker, and of large requests on their way; past it 503.",
    )
    write_keys: str = Field(
        "", description="File of the write keys, taken up again when it changes; empty: everybody may send."
    )


class ConsumerSettings(KafkaSettings, ClickHouseSettings):
    """Settings of the consumer."""

    consumer_group: str = Field("clickhouse-consumer-group", description="Kafka consumer group.")
    consumer_port: Port = Field(8002, description="Port of its /health, /ready and /metrics.")
    consumer_host: str = Field("127.0.0.1", description="Address of its /health, /ready and /metrics.")
    batch_size: int = Field(
        50_000, ge=1, le=1_000_000, description="Messages in a block at most; of 16 MB together, fewer."
    )
    batch_timeout: float = Field(0.15, gt=0, description="Seconds a row waits at most for its block to fill.")
    max_inflight_inserts: int = Field(2, ge=1, le=64, description="Inserts under way at once.")
    insert_timeout: float = Field(60.0, gt=0, description="Seconds before an insert's outcome counts as unknown.")
    event_max_age_days: int = Field(1825, ge=1, le=36_500, description="Events older than this many days are refused.")
    predictions_topic: str = Field("", description="Topic of logged predictions; empty: none are stored.")


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
    collector_key: SecretStr = Field(SecretStr(""), description="Write key to post them with, where one is needed.")


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


class RegisterSettings(RegistrySettings, ModelEventsSettings, LakeSettings, KubernetesSettings):
    """Settings of register."""

    serving: str = Field(
        "registry",
        pattern="^(registry|kserve)$",
        description="Who serves the champion: `registry`, predictors that watch the registry; or `kserve`.",
    )
    serving_runtime: str = Field("anmodel", description="KServe's ServingRuntime, with SERVING=kserve.")
    serving_account: str = Field("", description="ServiceAccount of the predictor's pods, with the keys of the S3.")
    serving_min_replicas: int = Field(1, ge=1, description="Fewest pods of the predictor.")
    serving_max_replicas: int = Field(1, ge=1, description="Most pods of the predictor, by processor load.")
    serving_cpu_percent: int = Field(70, ge=1, le=100, description="Load to aim at, % of the processor time asked for.")
    serving_gateway: str = Field(
        "",
        pattern="^([a-z0-9.-]+/[a-z0-9.-]+)?$",
        description="Gateway as namespace/name that splits traffic between champion and canary; empty: no share.",
    )
    serving_host: str = Field("", description="Host of the predictor at that Gateway.")
    serving_timeout: float = Field(600.0, gt=0, description="Seconds a version may take until its pods are ready.")
    canary_percent: int = Field(
        10, ge=0, le=50, description="Share of the traffic for a new version once it answered rightly; 0: none."
    )
    canary_seconds: float = Field(30.0, ge=0, description="Seconds that a new version has its share before all of it.")
    mlflow_artifacts_destination: str = Field(
        "",
        description="Where MLflow's server keeps what it calls mlflow-artifacts:/, as s3://bucket/prefix; for KServe.",
    )

    @model_validator(mode="after")
    def _route_has_a_host(self) -> Self:
        if self.serving_gateway and not self.serving_host:
            raise ValueError("SERVING_HOST is not set; SERVING_GATEWAY needs it, or the route would take every host.")
        return self


class ScoreSettings(LakeSettings, RegistrySettings, ClickHouseSettings):
    """Settings of score."""

    reasons_users: int = Field(20_000, ge=0, description="Users given reasons at most, the likeliest ones.")


class MonitorSettings(LakeSettings, RegistrySettings, ClickHouseSettings, ModelEventsSettings):
    """Settings of monitor."""


class PredictorSettings(ModelSettings):
    """Settings of the predictor: where its model is, MLFLOW_TRACKING_URI or MODEL_DIR."""

    predictor_host: str = Field("127.0.0.1", description="Address the predictor listens on.")
    predictor_port: Port = Field(8081, description="Port the predictor listens on.")
    predictor_grpc_port: int = Field(0, ge=0, le=65535, description="Port of protocol v2 over gRPC; 0: none.")
    mlflow_tracking_uri: str = Field("", description="MLflow, whose champion is served; unused with MODEL_DIR.")
    champion_poll_seconds: float = Field(5.0, gt=0, description="Seconds between looks for a new champion.")
    model_dir: str = Field(
        "", description="Folder of the one model to serve, as MLflow writes it; KServe puts it there."
    )
    model_version: str = Field("", description="The registry's number of that model, for answers and logs.")

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if not (self.model_dir or self.mlflow_tracking_uri):
            raise ValueError(
                "MLFLOW_TRACKING_URI is not set; set it to serve the champion, or MODEL_DIR for one model."
            )
        return self


class GatewaySettings(ClickHouseSettings, UsersSettings, RateSettings, ModelEventsSettings, KubernetesSettings):
    """Settings of the gateway."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: Port = Field(8000, description="Port the gateway listens on.")
    services: str = Field(
        "predictor",
        pattern="^(predictor|kserve)$",
        description="Which services there are: `predictor`, the one at PREDICTOR_URL; or `kserve`, InferenceServices.",
    )
    services_poll_seconds: float = Field(10.0, gt=0, description="Seconds between looks at the InferenceServices.")
    predictor_url: str = Field("http://127.0.0.1:8081", description="Where the predictor, or its Gateway, answers.")
    predictor_route_host: str = Field(
        "", description="Host header for that URL, where it is a Gateway's; empty: the URL's own."
    )
    model_name: str = Field("context_aware", pattern="^[a-z][a-z0-9_]*$", description="Name of the served model.")
    predict_timeout: float = Field(5.0, gt=0, description="Seconds the predictor may take.")
    predictions_topic: str = Field(
        "", description="Topic that predictions are logged to; empty: they are not, and Kafka is not needed."
    )
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
