# Two stages: the first has pip and the sources, the second only what runs. Every package is checked against its hash.
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/greenmine
COPY requirements.lock requirements-dev.lock ./
# The build backend is pinned with the tools of development; it does not stay.
RUN /opt/greenmine/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
    && awk '/^setuptools==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements-dev.lock > backend.lock \
    && /opt/greenmine/bin/pip install --require-hashes --only-binary :all: -r backend.lock
COPY pyproject.toml README.md LICENSE ./
COPY greenmine greenmine
COPY api api
COPY cli cli
COPY collector collector
COPY evidence evidence
COPY grafana grafana
COPY notify notify
COPY processing processing
COPY record record
COPY simulators simulators
COPY uplink uplink
RUN /opt/greenmine/bin/pip install --no-deps --no-build-isolation . \
    && /opt/greenmine/bin/pip uninstall --yes setuptools pip

FROM python:3.11.14-slim-bookworm

# The font of reports.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-noto-cjk && rm -rf /var/lib/apt/lists/*

# Volumes take their owner from these folders. `greenmine init` gives the files that services must read to this group when root runs it.
ARG ID=10001
RUN groupadd --gid "$ID" greenmine \
    && useradd --uid "$ID" --gid "$ID" --no-create-home --home-dir /data --shell /usr/sbin/nologin greenmine \
    && install -d -o greenmine -g greenmine -m 0750 /data /backup
COPY --from=build /opt/greenmine /opt/greenmine
ENV PATH=/opt/greenmine/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GREENMINE_DATA=/data
USER $ID:$ID
WORKDIR /data
ENTRYPOINT ["greenmine"]
CMD ["--help"]
