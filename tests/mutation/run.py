"""Breaks the code in every small way there is, one at a time, and tells which ways no test saw.

    python tests/mutation/run.py taskflow_core/tasks.py taskflow_core/permissions.py
    python tests/mutation/run.py adapters/taskflow_memory/*.py -- tests/contracts -k memory

What follows `--` goes to pytest instead of the core's unit tests. It works on a copy, needs pytest alone for
the core, and takes a minute or two per hundred mutants. Not part of CI.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
TREES = ("taskflow_core", "adapters", "examples", "tests")
TIMEOUT = 120

OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Mutant(NamedTuple):
    path: Path
    line: int
    before: str
    after: str
    source: str


def mutants(path: Path) -> Iterator[Mutant]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set(_not_run(tree))
    nodes = list(ast.walk(tree))
    for index, node in enumerate(nodes):
        if id(node) in skipped:
            continue
        for number in range(len(list(_variants(node)))):
            copy = deepcopy(tree)
            twin = list(ast.walk(copy))[index]
            variant = list(_variants(twin))[number]
            before = ast.unparse(twin)
            _put(twin, variant, copy)
            line = getattr(node, "lineno", 0)
            yield Mutant(
                path, line, before, ast.unparse(variant), ast.unparse(ast.fix_missing_locations(copy))
            )


def _not_run(tree: ast.Module) -> Iterator[int]:
    """Annotations, docstrings, and what only a type checker sees."""
    for node in ast.walk(tree):
        unseen: list[ast.AST | None] = []
        if isinstance(node, ast.AnnAssign):
            unseen.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            unseen += [node.returns, *(a.annotation for a in (*arguments.args, *arguments.kwonlyargs))]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            unseen.append(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unseen.append(node)
        for each in unseen:
            if each is not None:
                yield from (id(inner) for inner in ast.walk(each))


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    yield from _other_operators(node)
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str() as value):
            yield ast.Constant(value + "X")
        case ast.Return(value=ast.AST()):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.AugAssign() | ast.Expr() | ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    changed: Any = deepcopy(node)
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in OPPOSITES:
            changed.ops[0] = OPPOSITES[type(op)]()
            yield changed
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in OPPOSITES:
            changed.op = OPPOSITES[type(op)]()
            yield changed


def _put(node: ast.AST, variant: ast.AST, tree: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, variant)
            elif isinstance(value, list):
                value[:] = [variant if each is node else each for each in value]


def survives(mutant: Mutant, place: Path, arguments: list[str]) -> bool:
    target = place / mutant.path.relative_to(ROOT)
    original = target.read_text(encoding="utf-8")
    target.write_text(mutant.source, encoding="utf-8")
    try:
        return passes(place, arguments)
    finally:
        target.write_text(original, encoding="utf-8")


def passes(place: Path, arguments: list[str]) -> bool:
    path = os.pathsep.join(str(place / tree) for tree in ("", "adapters"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    # What looks at the source itself, not at what it does, would see every mutant.
    tests = arguments[cut + 1 :] or ["tests/unit/core", "--ignore", "tests/unit/core/test_core_only.py"]
    made = [mutant for name in arguments[:cut] for mutant in mutants((ROOT / name).resolve())]
    workers = os.cpu_count() or 1
    places: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(workers) as pool:
        for place in (Path(scratch) / str(number) for number in range(workers)):
            for tree in TREES:
                shutil.copytree(ROOT / tree, place / tree, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(ROOT / "pyproject.toml", place)
            places.put(place)
        if not passes(place, tests):
            sys.exit("The tests fail for the code as it is: they would see every mutant.")

        def judged(mutant: Mutant) -> bool:
            place = places.get()
            try:
                return survives(mutant, place, tests)
            finally:
                places.put(place)

        alive = 0
        for mutant, survived in zip(made, pool.map(judged, made), strict=True):
            if survived:
                alive += 1
                where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
                sys.stdout.write(f"{where}: {mutant.before}  ->  {mutant.after}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{len(made)} mutants, {len(made) - alive} seen by a test, {alive} not\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
