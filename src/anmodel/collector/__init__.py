"""Takes events over HTTP: an event that was answered for with 201 is in Kafka, on all replicas.

The way of a request, in the order to read it: `front` answers `/collect` before the framework sees it; `access` asks
whose key it is (`keyring`, `keys`); `collecting` has the body read (`reading`, `inflating`), split (`bodies`) and
judged event by event, sends the good ones (`anmodel.event_topic`) and waits until Kafka has them; `answers` says what
became of each. What Kafka has not confirmed in time is answered 503, and the client sends it again with the same id.

`app` puts it together with the framework's probes, metrics and documentation (`documented`). Decision 020 has the
reasoning.
"""
