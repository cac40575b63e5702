"""The README's tour, run by bash as it stands, in order, against a fresh `taskflow dev`."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import TASKFLOW, Background, environment, free_port

README = Path(__file__).parents[2] / "README.md"
ADDRESS = "http://localhost:3000"
# The `taskflow` of this run stands in for `uv run taskflow`, which would install the clone first.
UV = 'uv() { shift; "$@"; }'

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "sed"))), reason="needs bash, curl, sed"
)


def blocks() -> list[str]:
    return re.findall(
        r"^```sh tour\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    port = free_port()
    background = Background.start("dev", "--port", port, cwd=tmp_path)
    try:
        background.wait_for("TaskFlow is ready")
        yield tmp_path, f"http://localhost:{port}"
    finally:
        background.stop()


def run(place: Path, address: str, tour: list[str]) -> list[str]:
    """What each block of the tour prints."""
    marked = [f"echo '<<<'\n{block}\necho" for block in tour]
    script = "\n".join(["set -euo pipefail", UV, *marked]).replace(ADDRESS, address)
    path = f"{TASKFLOW.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=environment({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("<<<\n")[1:]


def test_the_tour_by_curl(dev: tuple[Path, str]) -> None:
    tour = [block for block in blocks() if "curl" in block]
    assert sum(ADDRESS in block for block in tour) == 1
    _, created, twice, changed, found, batch, wrong = run(*dev, tour)
    assert "201 Created" in created
    assert twice.count("201 Created") == 2
    assert len(set(re.findall(r'^{"id":"([^"]*)"', twice, re.MULTILINE))) == 1
    assert twice.lower().count("idempotent-replayed: true") == 1
    assert '"title":"Buy oat milk"' in changed
    assert '"code":"version_mismatch"' in changed
    assert found.count('"title":"Buy oat milk"') == 1
    assert '"overdue":1' in found
    assert '"changes":{"title":{"from":"Buy milk","to":"Buy oat milk"}' in found
    assert '"succeeded":1' in batch
    assert '"version":5' in batch
    assert all(pointer in wrong for pointer in ("/title", "/priority", "/colour"))


@pytest.mark.slow
def test_the_tour_by_command_line(dev: tuple[Path, str]) -> None:
    tour = [block for block in blocks() if "curl" not in block]
    printed, jobs = run(*dev, tour)
    assert "admin@example.com" in printed
    assert "status: PENDING -> COMPLETED" in printed
    assert re.search(r"^\d+ tasks created, 0 lines failed\.$", printed, re.MULTILINE)
    assert "All is well." in printed
    assert re.search(r"sample\.refund +done +3 of 5", jobs)
    assert re.search(r"sample\.refund +dead +1 of 1", jobs)
    assert re.search(r"^attempts +0 *$", jobs, re.MULTILINE)
