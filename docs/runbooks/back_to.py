"""back_to.py TIME [GROUP]: the consumers go on from the first event that Kafka took at that time (ISO 8601, with zone).

Runs in the pod of kafka-desk.yaml, as the user anmodel-consumer, while no consumer runs: Kafka refuses it otherwise.
What is stored again is found in the table and left out.
"""

import sys
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from anmodel.brokers import client_options
from anmodel.settings import KafkaSettings

settings = KafkaSettings.load()
group = sys.argv[2] if len(sys.argv) > 2 else "clickhouse-consumer-group"
time = datetime.fromisoformat(sys.argv[1])
if time.tzinfo is None:
    raise SystemExit(f"{sys.argv[1]} has no zone; write it as 2026-11-20T02:30:00+00:00")
desk = Consumer({**client_options(settings), "group.id": group, "enable.auto.commit": False})
topic = settings.kafka_topic
partitions = desk.list_topics(topic, timeout=30).topics[topic].partitions
asked = [TopicPartition(topic, partition, int(time.timestamp() * 1000)) for partition in partitions]
for place in desk.offsets_for_times(asked, timeout=30):
    if place.offset < 0:  # nothing came since
        place.offset = desk.get_watermark_offsets(place, timeout=30)[1]
    try:
        desk.commit(offsets=[place], asynchronous=False)
    except KafkaException as error:
        raise SystemExit(f"partition {place.partition}: {error.args[0].str()}. Does a consumer still run?") from error
    print(f"partition {place.partition} goes on at {place.offset}")
desk.close()
