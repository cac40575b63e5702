"""What checks TaskFlow: `uv run nox` runs the default sessions, `uv run nox -l` lists all of them.

Tests run against the installed wheel, never the source tree: `pytest` (not `python -m pytest`, which would
put the working directory on the path) in an environment of the wheel and the test tools, pinned by
constraints.txt.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "imports", "core_only", "tests"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))
# Used by more than one session: the names, as pyproject.toml pins them.
TEST = nox.project.dependency_groups(PYPROJECT, "test")
CHECK = nox.project.dependency_groups(PYPROJECT, "check")

# Tests wait more than they work: for servers, for time-outs, for processes to end. Each process has servers
# of its own, and a file's tests stay together.
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")

SCRATCH = Path(tempfile.mkdtemp(prefix="taskflow-nox-"))
REPORTS = SCRATCH / "reports"


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely bugs: ruff check, ruff format --check."""
    session.install(*CONSTRAINTS, *_named("ruff", CHECK))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over everything that is Python here."""
    session.install(*CONSTRAINTS, *EXTRAS["server"], *EXTRAS["embedded"], *TEST, *CHECK)
    places = [*PACKAGES, "tests", "examples", "benchmarks", "noxfile.py"]
    session.run("mypy", *(place for place in places if (ROOT / place).exists()))


@nox.session
def imports(session: nox.Session) -> None:
    """The direction of imports: import-linter."""
    session.install(*CONSTRAINTS, *_named("import-linter", CHECK))
    # It reads the packages, so it is told where they are; nothing of them is run.
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "adapters", "entrypoints"))
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": path})


@nox.session
def core_only(session: nox.Session) -> None:
    """The core's unit tests with no third-party package but pytest; they cover all its branches."""
    session.install(*CONSTRAINTS, str(_wheel(session)), *_named("pytest", TEST), *_named("coverage", TEST))
    # The settings of plugins that are not here are unknown to pytest.
    quiet = ("-W", "ignore:Unknown config option:pytest.PytestConfigWarning", "-p", "no:cacheprovider")
    _pytest(session, "tests/unit/core", *quiet, under=("coverage", "run"))
    session.run("coverage", "report", "--fail-under=100", env=_coverage())


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, contract and integration tests against the installed wheel and real servers."""
    _install_all(session)
    _pytest(session, *(session.posargs or ["tests", *SIDE_BY_SIDE]))


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests with the lowest versions that pyproject.toml allows for what it names. Needs uv."""
    requirement = f"taskflow-core[server,embedded] @ {_wheel(session).as_uri()}"
    session.install("--resolution", "lowest-direct", requirement, *TEST)
    _pytest(session, *(session.posargs or ["tests", *SIDE_BY_SIDE]))


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take a minute or more each."""
    _install_all(session)
    _pytest(session, "tests", "-m", "slow", "--timeout", "1800", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Schemathesis, all checks, against a running server."""
    _install_all(session, *nox.project.dependency_groups(PYPROJECT, "fuzz"))
    session.run("python", "tests/fuzz/run.py", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def clients(session: nox.Session) -> None:
    """Clients generated from the OpenAPI document, against a running server. Needs Node and npm."""
    _install_all(session, *nox.project.dependency_groups(PYPROJECT, "clients"), *_named("mypy", CHECK))
    session.run("python", "tests/clients/run.py", *session.posargs)


def _install_all(session: nox.Session, *more: str) -> None:
    requirement = f"taskflow-core[server,embedded] @ {_wheel(session).as_uri()}"
    session.install(*CONSTRAINTS, requirement, *TEST, *more)


def _pytest(session: nox.Session, *arguments: str, under: tuple[str, ...] = ()) -> None:
    REPORTS.mkdir(exist_ok=True)
    report = str(REPORTS / f"{session.name}.txt")
    env = {"TASKFLOW_TEST_INSTALLED": "1", "TASKFLOW_TEST_REPORT": report, **_coverage()}
    pytest = str(Path(session.bin) / "pytest") if under else "pytest"
    session.run(*under, pytest, *arguments, env=env)


def _coverage() -> dict[str, str]:
    return {"COVERAGE_FILE": str(SCRATCH / "coverage")}


def _named(name: str, requirements: tuple[str, ...]) -> list[str]:
    """The one requirement among these that is for `name` exactly."""
    return [r for r in requirements if r.startswith(name) and not r[len(name) :].startswith("-")]


def _wheel(session: nox.Session) -> Path:
    """The wheel of this tree, built once a run."""
    out = SCRATCH / "dist"
    if not out.exists():
        if session.venv_backend == "uv":
            session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(out), external=True)
        else:
            session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), ".")
    (wheel,) = out.glob("*.whl")
    return wheel


@atexit.register
def _close() -> None:
    """Say at the very end of a run what its tests came to and which servers they used."""
    reports = sorted(REPORTS.glob("*.txt"), key=lambda report: report.stat().st_mtime_ns)
    told = [f"{report.stem}: {report.read_text(encoding='utf-8')}" for report in reports]
    shutil.rmtree(SCRATCH, ignore_errors=True)
    sys.stderr.flush()
    for line in told:
        print(line, flush=True)
