# MLflow's server, with drivers for Postgres and S3: docker build -f images/mlflow.Dockerfile .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
WORKDIR /build
COPY requirements/mlflow.txt requirements.txt
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
COPY --from=dependencies /opt/venv /opt/venv
# No report of use, no git program, and no job runner: it takes 2 GB.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    LOGNAME=anmodel \
    MPLCONFIGDIR=/tmp \
    DO_NOT_TRACK=true \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
WORKDIR /tmp
USER 10001:10001
EXPOSE 5000
ENTRYPOINT ["mlflow"]
CMD ["server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="anmodel-mlflow" \
      org.opencontainers.image.description="MLflow's server for AnModel" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
