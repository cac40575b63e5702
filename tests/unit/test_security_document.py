"""docs/security.md and docs/jobs.md name tests; they exist."""

import ast
import re
from pathlib import Path

import pytest

from taskflow_bootstrap.settings import Settings, variable
from taskflow_core import EventType

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
JOBS = (ROOT / "docs/jobs.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+?\.py)(?:::(\w+))?`", TEXT + JOBS)))


def test_it_names_some() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_what_it_names_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    assert test in names if test else any(name.startswith("test_") for name in names)


def test_every_requirement_has_a_test() -> None:
    rows = re.findall(r"^\| (\d+\.\d+\.\d+.*)$", TEXT, re.MULTILINE)
    assert len(rows) > 45
    assert [row for row in rows if "`tests/" not in row] == []


def test_every_guarantee_of_jobs_has_a_test() -> None:
    table = JOBS[JOBS.index("| guarantee |") :].partition("\n\n")[0].splitlines()[2:]
    assert len(table) > 10
    assert [row for row in table if "`tests/" not in row] == []


def test_the_events_and_settings_that_it_names_are_all_there_are() -> None:
    for type_ in EventType:
        assert f"`{type_}`" in TEXT
    known = {variable(name) for name in Settings.__struct_fields__} | {"TASKFLOW_JWT_SECRET_FILE"}
    assert set(re.findall(r"TASKFLOW_[A-Z_]+", TEXT)) <= known


def test_the_limits_that_it_tells_are_those_in_force() -> None:
    defaults = Settings()
    for name in ("login", "refresh", "register", "api"):
        told = re.search(rf"`TASKFLOW_RATE_LIMIT_{name.upper()}` \| `(\d+)/(\w+)`", TEXT)
        assert told is not None
        rate = getattr(defaults, f"rate_limit_{name}")
        assert (int(told[1]), {"minute": 60, "hour": 3600}[told[2]]) == (rate.count, rate.seconds)
