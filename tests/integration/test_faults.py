"""Nothing is lost and nothing doubled, whatever is killed: a short run of `benchmarks.faults`."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import environment
from support.repository import ROOT

# As `python -m benchmarks.faults` would, with what is installed before what lies in the repository.
_RUN = "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module('benchmarks.faults', run_name='__main__', alter_sys=True)"  # noqa: E501


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    words = ["--kills", "8", "--seed", "8", "--keep", str(tmp_path / "kept")]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", _RUN, str(ROOT), *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "8 kills, seed 8: lost 0, doubled 0, broken 0, late 0" in ran.stdout
