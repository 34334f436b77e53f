# Airflow with our DAGs: docker build -f images/airflow.Dockerfile .
# Fits the official chart, which calls `airflow` by bash, /entrypoint and /clean-logs, as user 50000 of group 0.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
WORKDIR /build
COPY requirements/airflow.txt requirements.txt
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: --require-hashes \
        -r requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE_IMAGE}
# Nothing is installed in a running container.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/wheel*' -o -path '*-packages/pkg_resources' -o -path '*-packages/_distutils_hack' \
        -o -path '*/ensurepip' -o -path '*/share/python-wheels' -o -path '*/bin/pip*' \) -prune -exec rm -rf {} +
RUN useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow --shell /bin/bash airflow \
    && mkdir -p /opt/airflow/dags /opt/airflow/logs /opt/airflow/plugins /opt/airflow/config \
    && echo '# Settings come from the environment, or from the chart, which lays its own file here.' \
        >/opt/airflow/airflow.cfg \
    && chown -R 50000:0 /opt/airflow \
    && chmod -R g=u /opt/airflow
COPY images/airflow/entrypoint images/airflow/clean-logs /
COPY --from=dependencies /opt/venv /opt/venv
COPY --chown=50000:0 dags/ /opt/airflow/dags/
# The triggerer finds our functions by PYTHONPATH; only the DAG processor looks into dags/ by itself.
# The file's place is no secret: DL3064 sees a name with PASSWORD in it
# hadolint ignore=DL3064
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/airflow/dags \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/tmp/passwords.json \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
WORKDIR /opt/airflow
USER 50000:0
EXPOSE 8080
CMD ["airflow", "version"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="anmodel-airflow" \
      org.opencontainers.image.description="Airflow with AnModel's DAGs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
