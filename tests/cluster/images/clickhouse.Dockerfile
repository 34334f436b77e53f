# The test platform's ClickHouse: the engine (chDB) behind the HTTP interface that `anmodel up` uses.
# tar -c requirements/laptop.txt src/anmodel tests/cluster/images | docker build -f tests/cluster/images/clickhouse.Dockerfile -t anmodel-test/clickhouse:26.9 -
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
WORKDIR /build
COPY requirements/laptop.txt ./
# the lock's versions, without its hashes: only a part of it is installed, and pip wants hashes for all or none
RUN sed -nE 's/^([a-z0-9][^\\]*[^\\ ]) *\\?$/\1/p' laptop.txt > versions.txt \
    && python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --quiet -c versions.txt --no-deps \
       chdb chdb-core \
    && python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --quiet -c versions.txt \
       backports-zstd lz4 msgspec prometheus-client pydantic-settings rich structlog typer

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="anmodel-test/clickhouse" \
      org.opencontainers.image.description="ClickHouse's engine for AnModel's cluster tests; not for production" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opt/venv /opt/venv
COPY src/anmodel/__init__.py src/anmodel/errors.py /opt/anmodel/anmodel/
COPY src/anmodel/laptop/__init__.py src/anmodel/laptop/locks.py /opt/anmodel/anmodel/laptop/
COPY src/anmodel/laptop/clickhouse /opt/anmodel/anmodel/laptop/clickhouse
COPY tests/cluster/images/clickhouse_server.py /opt/anmodel/
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/anmodel HOME=/tmp TZ=UTC PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
ENTRYPOINT ["python", "/opt/anmodel/clickhouse_server.py"]
