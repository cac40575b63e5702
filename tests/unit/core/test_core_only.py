"""`import taskflow_core` needs nothing but Python, as its source says and as a process shows."""

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import taskflow_core

PACKAGE = Path(str(taskflow_core.__file__)).parent

IMPORT_ALL_WITH_NOTHING_ELSE = """
import pkgutil, sys
allowed = sys.stdlib_module_names | {"taskflow_core"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"{name} is not in the standard library")

sys.meta_path.insert(0, Refuse())
import taskflow_core
for module in pkgutil.walk_packages(taskflow_core.__path__, "taskflow_core."):
    __import__(module.name)
print(len([name for name in sys.modules if name.startswith("taskflow_core.")]))
"""


def imported_packages(source: str) -> Iterator[str]:
    """Every package a module names, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0] if node.level == 0 else "taskflow_core"


def test_the_core_names_only_itself_and_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"taskflow_core"}
    foreign = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in imported_packages(path.read_text(encoding="utf-8"))
        if name not in allowed
    }
    assert foreign == set()


def test_every_module_of_the_core_imports_where_nothing_else_does() -> None:
    # -I: neither the working directory nor PYTHONPATH lends it anything
    command = [sys.executable, "-I", "-c", IMPORT_ALL_WITH_NOTHING_ELSE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr == ""
    assert int(done.stdout) == sum(1 for _ in PACKAGE.rglob("*.py")) - 1


def test_every_module_says_what_it_is_for() -> None:
    modules = pkgutil.walk_packages(taskflow_core.__path__, "taskflow_core.")
    silent = [module.name for module in modules if not import_module(module.name).__doc__]
    # packages that only group others need not
    assert [name for name in silent if not (PACKAGE.parent / name.replace(".", "/")).is_dir()] == []


def test_public_names_exist() -> None:
    assert [name for name in taskflow_core.__all__ if not hasattr(taskflow_core, name)] == []
