"""Standard input, output and error that are closed, full, gone, or not of UTF-8."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.memory_cli import TASKS

NOT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SUPPORT = Path(__file__).parents[2]


def shell(command: str, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell in which `taskflow` is the CLI over memory."""
    function = f'taskflow() {{ "{sys.executable}" -m support.memory_cli "$@"; }}\n'
    # Without this variable Python writes through a buffer, with it the test would see another path.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["/bin/bash", "-c", function + command],
        env={**kept, "PYTHONPATH": str(SUPPORT), "NO_COLOR": "1", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["--help", "tasks list", "tasks list --json", "tasks export"])
@pytest.mark.parametrize("target", [">&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_a_sentence_and_exit_code_1(command: str, target: str) -> None:
    ended = shell(f"taskflow {command} {target}")
    reason = "Bad file descriptor" if target == ">&-" else "No space left on device"
    assert ended.stderr.decode().splitlines()[-1] == f"Error: Standard input or output failed: {reason}."
    assert b"Traceback" not in ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize(
    "command", ["tasks import -", "users create new@example.com --password-stdin", "users purge"]
)
def test_input_that_is_closed_is_a_sentence_and_an_exit_code(command: str) -> None:
    ended = shell(f"taskflow {command} <&-")
    assert b"Traceback" not in ended.stderr
    assert b"Error: " in ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize("target", ["2>&-", "2>/dev/full"])
def test_an_error_that_nobody_can_read_does_not_land_elsewhere(target: str) -> None:
    ended = shell(f"taskflow tasks show nonsense {target}")
    assert (ended.stdout, ended.stderr) == (b"", b"")
    assert ended.returncode in (1, 2)
    assert shell(f"taskflow tasks stats {target}").returncode == 0


@pytest.mark.parametrize("command", ["tasks list --json", "tasks list", "tasks export"])
def test_a_reader_that_goes_away_ends_it_without_words(command: str) -> None:
    # The reader is gone before anything is written.
    ended = shell(f"taskflow {command} | true; exit ${{PIPESTATUS[0]}}")
    assert b"Traceback" not in ended.stderr
    assert b"Broken pipe" not in ended.stderr
    assert ended.returncode == 1


def test_output_that_is_cut_off_is_noticed_when_python_does_not_buffer() -> None:
    """One write of more than a pipe holds is a short one where the reader goes away while it waits."""
    code = "from taskflow_cli import streams; streams.prepare(); print('x' * 10_000_000, flush=True)"
    ended = shell(f'"{sys.executable}" -uc "{code}" | head -c 10; exit ${{PIPESTATUS[0]}}')
    assert b"BrokenPipeError" in ended.stderr


@pytest.mark.parametrize("env", [NOT_UTF8, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}])
def test_characters_that_the_terminal_does_not_have_are_replaced(env: dict[str, str]) -> None:
    table = shell("taskflow tasks list", env)
    assert table.returncode == 0, table.stderr
    assert b"Feed the ? and water" in table.stdout
    assert len({line.index(b" HIGH ") for line in table.stdout.splitlines()[1:]}) == 1
    document = shell("taskflow tasks list --json", env)
    assert document.stdout.isascii()
    assert {task["title"] for task in json.loads(document.stdout)["data"]} == {title for title, *_ in TASKS}


@pytest.mark.parametrize("command", ["tasks list --json", "tasks export"])
def test_json_escapes_what_a_terminal_would_obey(command: str) -> None:
    ended = shell(f"taskflow {command}")
    text = ended.stdout.decode()
    for unsafe in "\x1b\x7f\x9b\u202e\u2066\u2028\U000e0041":
        assert unsafe not in text
    assert "👨‍👩‍👧‍👦" in text
    assert all(json.dumps(title)[-5:-1] in text or title in text for title, *_ in TASKS)
