"""What compose.yaml promises, read without an engine. `tests/integration/test_compose.py` runs it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types, and one function of it is used

from taskflow_bootstrap.settings import SECRETS, variable

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAYS = [name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"]
# Who holds which secret: the volume, and the services that mount it. `secrets` writes them all.
HOLDERS = {
    "database-secret": {"postgres", "roles"},
    "database-owner-url": {"migrate"},
    "database-url": {"api", "worker", "scheduler"},
    "redis-password": {"redis"},
    "redis-url": {"api", "worker", "scheduler"},
    "api-secrets": {"api"},
    "smtp-url": {"worker"},
    "postgres": {"postgres"},
    "redis": {"redis"},
}

each_service = pytest.mark.parametrize("name", SERVICES)


@each_service
def test_every_service_runs_with_the_least_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    allowed = {"secrets": {"CHOWN", "DAC_OVERRIDE"},
               "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}  # fmt: skip
    assert set(service.get("cap_add", [])) == allowed.get(name, set())


def test_each_secret_is_mounted_where_it_is_read_and_nowhere_else() -> None:
    mounts = {
        (volume.split(":")[0], name, volume.endswith(":ro"))
        for name, service in SERVICES.items()
        if name != "secrets"
        for volume in service.get("volumes", [])
    }
    found = {volume: {name for held, name, _ in mounts if held == volume} for volume, _, _ in mounts}
    assert found == HOLDERS
    assert set(COMPOSE["volumes"]) == set(HOLDERS)
    assert {volume for volume, _, closed in mounts if not closed} == {"postgres", "redis"}


def test_no_secret_is_in_an_environment_or_a_command() -> None:
    # The mail server's address may still be given by variable, as it could before it had a file.
    named = {variable(name) for name in SECRETS} - {"TASKFLOW_SMTP_URL"}
    for service in SERVICES.values():
        assert not named & set(service.get("environment", {}))
        assert "POSTGRES_PASSWORD" not in service.get("environment", {})
        assert "--requirepass" not in str(service)


@pytest.mark.parametrize("name", STAYS)
def test_everything_that_stays_has_a_health_check(name: str) -> None:
    if name == "api":
        assert "healthcheck" not in SERVICES[name], "the image has it"
        assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
    else:
        assert SERVICES[name]["healthcheck"]["test"]


def test_what_ends_by_itself_has_no_health_check_of_the_image() -> None:
    assert {"secrets", "roles", "migrate"} == set(SERVICES) - set(STAYS)
    for name in set(SERVICES) - set(STAYS):
        assert SERVICES[name]["healthcheck"] == {"disable": True}


def test_workers_and_schedulers_touch_the_file_that_their_check_looks_at() -> None:
    for name in ("worker", "scheduler"):
        *_, option, file = SERVICES[name]["command"]
        assert option == "--alive-file"
        assert f"find {file} " in SERVICES[name]["healthcheck"]["test"][1]


def test_every_image_has_a_precise_tag_that_a_variable_replaces() -> None:
    own = {"taskflow"}
    images = {service["image"] for service in SERVICES.values()} - own
    images.add(COMPOSE["x-taskflow"]["build"]["args"]["PYTHON_IMAGE"])
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?\}", image), image
    (in_compose,) = (image[16:-1] for image in images if "PYTHON_IMAGE" in image)
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"ARG PYTHON_IMAGE={in_compose}\n" in dockerfile
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"$PYTHON_IMAGE"}


def test_only_the_api_is_published_and_on_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["${TASKFLOW_PUBLISH:-127.0.0.1:3000}:3000"]}
