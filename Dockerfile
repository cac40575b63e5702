# Two stages: the first builds, the second holds what runs and nothing else.
# To pin a digest too: --build-arg PYTHON_IMAGE=python:3.13.13-slim-trixie@sha256:…
ARG PYTHON_IMAGE=python:3.13.13-slim-trixie
FROM $PYTHON_IMAGE AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv /opt/taskflow
# Dependencies first, by their pins: they change seldom, so this layer is kept.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN python3 -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['server']))" \
      > /tmp/server.txt \
 && /opt/taskflow/bin/pip install -c constraints.txt -r /tmp/server.txt
COPY taskflow_core taskflow_core
COPY adapters adapters
COPY entrypoints entrypoints
RUN /opt/taskflow/bin/pip install -c constraints.txt ".[server]"

FROM $PYTHON_IMAGE
LABEL org.opencontainers.image.title="TaskFlow" \
      org.opencontainers.image.description="A task backend: HTTP API and CLI on PostgreSQL and Redis" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/taskflow /opt/taskflow
# No write access to the root file system is needed; `docker run --read-only --tmpfs /tmp` works.
ENV PATH=/opt/taskflow/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TASKFLOW_HOST=0.0.0.0 \
    TASKFLOW_PORT=3000
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['TASKFLOW_PORT'] + '/health/live', timeout=2)"]
ENTRYPOINT ["taskflow"]
CMD ["serve"]
