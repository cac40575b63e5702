"""The example of the core alone needs nothing but the core."""

import runpy
from pathlib import Path

import pytest


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[3] / "examples" / "embed_memory.py"
    runpy.run_path(str(example), run_name="__main__")
    assert "Write the first note" in capsys.readouterr().out
