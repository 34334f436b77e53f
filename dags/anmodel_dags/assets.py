"""What the DAGs leave for each other, and the news that starts a training."""

import os

from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import Asset, AssetWatcher

KAFKA = "kafka_default"
MODEL_TOPIC = os.environ.get("MODEL_TOPIC", "model-events")

events = Asset("events", group="anmodel")
"""The lake's days of events. An event's extra: `as_of`, the instant that a forecast may now be of (days.as_of)."""

forecasts = Asset("forecasts", group="anmodel")
"""The table of forecasts, complete for one more snapshot."""

model = Asset("model", group="anmodel")
"""A version that has been weighed against the champion."""

drift = Asset(
    "drift",
    group="anmodel",
    watchers=[
        AssetWatcher(
            name=MODEL_TOPIC,
            trigger=MessageQueueTrigger(
                scheme="kafka",
                kafka_config_id=KAFKA,
                topics=[MODEL_TOPIC],
                apply_function="anmodel_dags.drift.only_drift",
                poll_timeout=1,
                poll_interval=1,  # a pause after each message that is not for us
            ),
        )
    ],
)
"""A message of drift on the topic of model events."""
