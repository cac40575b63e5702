"""compose.yaml as a stranger runs it: built, started, used, started again and removed.

Needs Docker with Compose, and the images. `POSTGRES_IMAGE`, `REDIS_IMAGE` and `PYTHON_IMAGE` replace the tags
where no registry is reached, and `TASKFLOW_TEST_BUILD_NETWORK=host` builds in the host's network.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from support.processes import environment, free_port

ROOT = Path(__file__).parents[2]
BUILT = ("secrets", "migrate", "api", "worker", "scheduler")
PASSWORD = "correct horse battery 9"

pytestmark = pytest.mark.slow


class Deployment:
    def __init__(self, override: Path) -> None:
        self.project = f"taskflow-test-{uuid4().hex[:8]}"
        self.port = free_port()
        self.files = ("-f", str(ROOT / "compose.yaml"), "-f", str(override))
        network = os.environ.get("TASKFLOW_TEST_BUILD_NETWORK", "default")
        service = {"image": self.project, "build": {"network": network}}
        override.write_text(json.dumps({"services": dict.fromkeys(BUILT, service)}))

    def __call__(self, *words: str, given: str = "", checked: bool = True) -> str:
        done = subprocess.run(
            ["docker", "compose", "-p", self.project, *self.files, *words],
            cwd=ROOT,
            env=environment({"TASKFLOW_PUBLISH": f"127.0.0.1:{self.port}"}),
            input=given,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert not checked or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def health(self) -> dict[str, str]:
        lines = self("ps", "--format", "{{.Service}} {{.Health}}").splitlines()
        return {service: health for service, _, health in (line.partition(" ") for line in lines)}

    def sql(self, statement: str) -> str:
        return self("exec", "-T", "postgres", "psql", "-U", "taskflow", "-Atc", statement, "taskflow").strip()


def docker(*words: str) -> int:
    """Return the exit code."""
    return subprocess.run(["docker", *words], capture_output=True, timeout=1200, check=False).returncode


def left_behind(project: str) -> list[str]:
    label = ("--filter", f"label=com.docker.compose.project={project}", "-q")
    lists = (("ps", "-a"), ("volume", "ls"), ("network", "ls"))
    return [
        line
        for command in lists
        for line in subprocess.check_output(["docker", *command, *label], text=True).splitlines()
    ]


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Deployment]:
    if shutil.which("docker") is None:
        pytest.skip("no Docker here")
    deployment = Deployment(tmp_path / "override.json")
    for image in {*deployment("config", "--images").split()} - {deployment.project}:
        if docker("image", "inspect", image) and docker("pull", image):
            pytest.skip(f"{image} cannot be had here")
    yield deployment
    deployment("down", "--volumes", checked=False)
    docker("rmi", "-f", deployment.project)


def test_it_is_healthy_works_and_leaves_nothing(compose: Deployment) -> None:
    compose("build")
    compose("up", "--detach", "--wait")
    services = ("api", "postgres", "redis", "scheduler", "worker")
    assert compose.health() == dict.fromkeys(services, "healthy")
    assert "All is well." in compose("exec", "-T", "api", "taskflow", "doctor")
    create = ("users", "create", "ann@example.com", "--role", "admin", "--password-stdin")
    compose("exec", "-T", "api", "taskflow", *create, given=PASSWORD)
    body = {"email": "ann@example.com", "password": PASSWORD}
    url = f"http://127.0.0.1:{compose.port}/auth/login"
    assert httpx.post(url, json=body, timeout=60).status_code == 200
    who = "SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    assert compose.sql(who) == "taskflow_app"
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert compose.sql(owners) == "taskflow_owner"
    assert compose("exec", "-T", "redis", "redis-cli", "ping", checked=False).strip() != "PONG"
    # Started again, as by an upgrade: the passwords stay.
    compose("up", "--detach", "--wait", "--force-recreate")
    assert compose.health() == dict.fromkeys(services, "healthy")
    assert httpx.post(url, json=body, timeout=60).status_code == 200
    compose("down", "--volumes")
    assert left_behind(compose.project) == []
