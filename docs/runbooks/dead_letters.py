"""Prints all dead letters, one a line. Runs in the pod of kafka-desk.yaml; commits nothing, may be run at any time."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from anmodel.brokers import client_options
from anmodel.settings import KafkaSettings

settings = KafkaSettings.load()
topic = settings.kafka_dead_topic
options = {"group.id": "kafka-desk", "enable.auto.commit": False, "enable.partition.eof": True}
reader = Consumer({**client_options(settings), **options})
left = set(reader.list_topics(topic, timeout=30).topics[topic].partitions)
reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
while left:
    message = reader.poll(30)
    if message is None:
        raise SystemExit("Kafka did not answer for 30 s")
    error = message.error()
    if error is None:
        print((message.value() or b"").decode(errors="replace").replace("\n", " "))
    elif error.code() == KafkaError._PARTITION_EOF:
        left.discard(message.partition())
    elif error.fatal() or not error.retriable():
        raise SystemExit(str(error))
reader.close()
