# One of our stages: docker build -f images/stage.Dockerfile --build-arg STAGE=collector .
# `make images` builds them all; docs/images.md says how each part was decided.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG STAGE

# The stage's packages, and nothing that installed them.
FROM ${BASE_IMAGE} AS dependencies
ARG STAGE
WORKDIR /build
COPY requirements/${STAGE}.txt requirements.txt
# Without the packages' own tests. Compiled here, as the root is read-only later; their files never change, so nobody
# need look whether they did.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: --require-hashes \
        -r requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

# Our code. `live_update` may change it: its bytecode is used while it fits the source.
FROM ${BASE_IMAGE} AS code
WORKDIR /opt/anmodel
COPY src/anmodel anmodel
# The name and version by which Python, and MLflow, know an installed package.
RUN version=$(python -c 'import anmodel; print(anmodel.__version__)') \
    && mkdir "anmodel-$version.dist-info" \
    && printf 'Metadata-Version: 2.1\nName: anmodel\nVersion: %s\n' "$version" >"anmodel-$version.dist-info/METADATA" \
    && python -m compileall -q -j 0 --invalidation-mode checked-hash anmodel

FROM ${BASE_IMAGE} AS runtime
# Nothing is installed in a running container.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/wheel*' -o -path '*-packages/pkg_resources' -o -path '*-packages/_distutils_hack' \
        -o -path '*/ensurepip' -o -path '*/share/python-wheels' -o -path '*/bin/pip*' \) -prune -exec rm -rf {} +
COPY --from=dependencies /opt/venv /opt/venv
# LightGBM asks for the system's OpenMP. scikit-learn's wheel carries it, and both then share one copy.
RUN for library in /opt/venv/lib/python3*/site-packages/scikit_learn.libs/libgomp-*; do \
        if [ -e "$library" ]; then ln -s "$library" /usr/lib/libgomp.so.1; fi; done
COPY --from=code --chown=10001:10001 /opt/anmodel /opt/anmodel
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/anmodel \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    LOGNAME=anmodel \
    MPLCONFIGDIR=/tmp \
    OMP_WAIT_POLICY=PASSIVE
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["python", "-m", "anmodel"]

# What each image runs when it is told nothing else.
FROM runtime AS run-collector
CMD ["collector"]
FROM runtime AS run-consumer
CMD ["consumer"]
FROM runtime AS run-migrate
CMD ["migrate"]
FROM runtime AS run-generator
CMD ["generator"]
FROM runtime AS run-export
CMD ["export"]
FROM runtime AS run-trends
CMD ["trends"]
FROM runtime AS run-snapshot
CMD ["snapshot"]
FROM runtime AS run-train
CMD ["train"]
FROM runtime AS run-register
CMD ["register"]
FROM runtime AS run-score
CMD ["score"]
FROM runtime AS run-monitor
CMD ["monitor"]
FROM runtime AS run-predictor
CMD ["predictor"]
FROM runtime AS run-gateway
CMD ["gateway"]

# hadolint ignore=DL3006
FROM run-${STAGE}
ARG STAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="anmodel-${STAGE}" \
      org.opencontainers.image.description="AnModel's stage ${STAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
