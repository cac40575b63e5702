"""The README's tour, run by bash as it stands, in order, against a fresh `taskflow dev`."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import PATIENT_DOCTOR, TASKFLOW, Background, environment, free_port

README = Path(__file__).parents[2] / "README.md"
ADDRESS = "http://localhost:3000"
# The `taskflow` of this run stands in for `uv run taskflow`, which would install the clone first.
UV = 'uv() { shift; "$@"; }'
DOCTOR = f"""
taskflow() {{
  if [ "$1" = doctor ]; then {shlex.join(PATIENT_DOCTOR)} "$@"; else command taskflow "$@"; fi
}}"""
# The tour waits for jobs by the clock, this until what is overdue was looked for (by a scan that began after
# one that ended after now) and there is nothing more to do: the machine may be slow.
SLEEP = """
sleep() {
  local seen=0 before= scanned
  while jobs=$(taskflow jobs stats --json | tr -d ' \\n'); do
    scanned=$(grep -o '"name":"overdue","dueAt":"[^"]*"' <<< "$jobs")
    if [ "$scanned" != "$before" ]; then seen=$((seen + 1)) before=$scanned; fi
    if [ $seen -ge 3 ] && ! grep -qE '"(due|scheduled|running)":[1-9]' <<< "$jobs"; then break; fi
    command sleep 0.2
  done
}"""

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
    script = "\n".join(["set -euo pipefail", UV, DOCTOR, SLEEP, *marked]).replace(ADDRESS, address)
    path = f"{TASKFLOW.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=environment({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Whoever takes the tour finds the clone as it was.
    assert {path.name for path in place.iterdir() if not path.name.startswith("output-")} == {".taskflow"}
    return done.stdout.split("<<<\n")[1:]


def test_the_tour_by_curl(dev: tuple[Path, str]) -> None:
    tour = [block for block in blocks() if "curl" in block]
    assert sum(ADDRESS in block for block in tour) == 1
    printed = run(*dev, tour + tour)
    _, created, twice, changed, found, batch, wrong = printed[:7]
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
    # Pasted again, it says the same of a task of its own; only the key is known by now.
    again = printed[7:]
    assert again[1].count("201 Created") == 1
    assert again[2].lower().count("idempotent-replayed: true") == 2
    assert '"code":"version_mismatch"' in again[3]
    assert '"version":5' in again[5]


@pytest.mark.slow
def test_the_tour_by_command_line(dev: tuple[Path, str]) -> None:
    tour = [block for block in blocks() if "curl" not in block]
    printed, jobs, overdue, *again = run(*dev, tour + tour)
    assert "admin@example.com" in printed
    assert "status: PENDING -> COMPLETED" in printed
    assert re.search(r"^\d+ tasks created, 0 lines failed\.$", printed, re.MULTILINE)
    assert "All is well." in printed
    for shown in (overdue, again[2]):
        assert re.search(r"task\.overdue +done +1/16", shown)
    for shown in (jobs, again[1]):
        assert re.search(r"sample\.refund +done +3/5", shown)
        assert re.search(r"sample\.refund +dead +1/1", shown)
        *_, retried, ended = re.findall(r"^state +(\w+) *$", shown, re.MULTILINE)
        assert (retried, ended) == ("pending", "done")
