"""The house is packed as it was built, and these tests run against what is packed."""

import os
import sysconfig
import tomllib
from importlib import import_module
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
NAMES = [Path(room).name for room in ROOMS]


def rooms_on_disk() -> set[str]:
    folders = [ROOT / "adapters", ROOT / "entrypoints"]
    rooms = {p.parent for folder in folders for p in folder.glob("taskflow_*/__init__.py")}
    return {"taskflow_core"} | {str(p.relative_to(ROOT)) for p in rooms}


def contracts(kind: str) -> list[dict[str, Any]]:
    return [c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == kind]


def test_the_wheel_says_where_the_project_is() -> None:
    assert {"Homepage", "Documentation", "Changelog"} <= set(PYPROJECT["project"]["urls"])


def test_the_wheel_lists_every_room_and_only_rooms() -> None:
    assert set(ROOMS) == rooms_on_disk()


def test_container_folders_are_not_packages() -> None:
    assert not (ROOT / "adapters" / "__init__.py").exists()
    assert not (ROOT / "entrypoints" / "__init__.py").exists()


def test_import_linter_sees_every_room() -> None:
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == set(NAMES)
    house = next(c for c in contracts("layers") if "containers" not in c)
    layers = {name.strip() for layer in house["layers"] for name in layer.split("|")}
    assert layers == set(NAMES)


def test_import_linter_protects_every_adapter() -> None:
    if "taskflow_bootstrap" not in NAMES:
        return  # import-linter refuses to hear of a module that does not exist yet
    (protected,) = contracts("protected")
    adapters = {Path(room).name for room in ROOMS if room.startswith("adapters/")}
    assert set(protected["protected_modules"]) == adapters
    assert protected["allowed_importers"] == ["taskflow_bootstrap"]


@pytest.mark.parametrize("room", ROOMS)
def test_packages_come_from_where_this_run_says(room: str) -> None:
    name = Path(room).name
    installed = Path(sysconfig.get_path("purelib")) / name
    expected = installed if os.environ.get("TASKFLOW_TEST_INSTALLED") else ROOT / room
    assert Path(str(import_module(name).__file__)).parent == expected


def test_nothing_is_installed_under_the_folders_names() -> None:
    files = distribution("taskflow-core").files or []
    assert not [file for file in files if file.parts[0] in {"adapters", "entrypoints", "tests"}]


def test_a_plain_install_has_no_dependencies() -> None:
    requires = distribution("taskflow-core").requires or []
    assert [r for r in requires if "extra ==" not in r] == []


def test_the_console_script_is_taskflow() -> None:
    (script,) = entry_points(group="console_scripts", name="taskflow")
    assert script.value == "taskflow_cli.main:main"


def test_every_package_says_that_it_is_typed() -> None:
    missing = [room for room in ROOMS if not (ROOT / room / "py.typed").exists()]
    assert missing == []


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert all(len(pin.split("==")) == 2 and not set(pin) & set(" /:@;") for pin in pins)
