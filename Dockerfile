# The base image, pinned by the digest of its index for all platforms: Python 3.11.16, built on 25 August 2026, from
# https://github.com/docker-library/repo-info/blob/33a22f41ac7bf613bc03380b0317536a9a7fb5e8/repos/python/remote/3.11-slim-bookworm.md
# To find a newer one:  docker buildx imagetools inspect --format '{{.Manifest.Digest}}' python:3.11-slim-bookworm
# `make audit` reports when there is one.
ARG BASE=python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b

# Build stage: everything pinned and hashed, with one virtual environment to run and another to build.
# postgres.txt is run.txt and the driver of an outbox that replicas share.
FROM ${BASE} AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/sidecar && python -m venv --without-pip /opt/build
COPY requirements/build.txt requirements/postgres.txt requirements/
RUN pip --python /opt/build/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
RUN pip --python /opt/sidecar/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r requirements/postgres.txt
COPY pyproject.toml README.md LICENSE config.example.yaml ./
COPY sidecar sidecar
RUN pip --python /opt/build/bin/python wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/sidecar/bin/python install --no-index --no-deps --no-cache-dir /wheels/*.whl

# Run stage: no compiler, no pip in the environment, no source, no root.
FROM ${BASE}
RUN groupadd --gid 10001 sidecar \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin sidecar \
    && install --directory --owner sidecar --group sidecar --mode 0700 /data
COPY --from=build /opt/sidecar /opt/sidecar
COPY config.example.yaml /etc/sidecar/config.yaml
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SIDECAR_CONFIG=/etc/sidecar/config.yaml \
    SIDECAR_HOST=0.0.0.0 \
    SIDECAR_STORAGE_URL=sqlite:////data/outbox.db \
    SIDECAR_URL=http://127.0.0.1:8077
# A number, so that an orchestrator can verify that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8077
STOPSIGNAL SIGTERM
# Ignores http_proxy. A configuration with another server.port needs its own HEALTHCHECK.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8077/livez', timeout=2)"]
CMD ["sidecar", "run"]
