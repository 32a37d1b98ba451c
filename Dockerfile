# Build: everything pinned and hashed, into one virtual environment.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/sidecar
COPY requirements/run.txt requirements/run.txt
RUN pip --python /opt/sidecar/bin/python install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
RUN pip --python /opt/sidecar/bin/python install --no-cache-dir --no-deps .

# Run: no compiler, no pip in the environment, no source, no root.
FROM python:3.11-slim-bookworm
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
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8077
STOPSIGNAL SIGTERM
# Asked without a proxy, whatever http_proxy says. A configuration with another server.port needs its own HEALTHCHECK.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8077/livez', timeout=2)"]
CMD ["sidecar", "run"]
