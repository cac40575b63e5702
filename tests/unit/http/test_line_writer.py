"""Lines that nobody reads stop nobody; those that somebody reads come whole, once and in order."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pipes import fill
from taskflow_http import line_writer
from taskflow_http.line_writer import LineWriter

PATIENCE = 60.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, LineWriter]]:
    """The end where one reads, and a writer at the other."""
    readable, writable = os.pipe()
    with os.fdopen(writable, "w", encoding="utf-8") as out:
        yield readable, LineWriter(out)
        # Who still writes hears that nobody reads.
        os.close(readable)
        line_writer.flush_lines(PATIENCE)


def read_until(readable: int, words: str) -> list[str]:
    """Return the lines up to one that has these words."""
    said = b""
    while words.encode() not in said.rpartition(b"\n")[0]:
        said += os.read(readable, 65536)
    return said.decode().lstrip("\0").splitlines()


def test_lines_come_whole_and_in_order(pipe: tuple[int, LineWriter]) -> None:
    readable, writer = pipe
    lines = [f"{number} " + "ä" * (number * 37 % 9000) for number in range(300)]
    read: list[str] = []
    reading = threading.Thread(target=lambda: read.extend(read_until(readable, "the last")))
    reading.start()
    for line in [*lines, "the last"]:
        writer.write(line + "\n")
    reading.join(PATIENCE)
    assert read == [*lines, "the last"]


def test_a_pipe_gets_whole_lines_in_one_piece(
    pipe: tuple[int, LineWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = []
    readable, writer = pipe
    write, own = os.write, writer._file.number

    def noted(file: int, data: bytes) -> int:
        if file == own:
            pieces.append(bytes(data))
        return write(file, data)

    assert own is not None
    fill(own)
    monkeypatch.setattr(os, "write", noted)
    for number in range(200):
        writer.write(f"{number} " + "x" * 300 + "\n")
    writer.write("y" * 5000 + "\n")
    read_until(readable, "yyy")
    assert all(piece.endswith(b"\n") and (len(piece) <= 4096 or piece[:1] == b"y") for piece in pieces)
    assert len(pieces) < 200


def test_who_made_the_pipe_not_block_loses_nothing(pipe: tuple[int, LineWriter]) -> None:
    readable, writer = pipe
    os.set_blocking(writer._file._out.fileno(), False)
    fill(writer._file._out.fileno())
    lines = [f"{number}" for number in range(100)]
    for line in [*lines, "the last"]:
        writer.write(line + "\n")
    assert read_until(readable, "the last") == [*lines, "the last"]


def test_after_a_line_that_was_torn_the_next_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [7]

    def almost_full(file: int, data: bytes) -> int:
        if file != writer._file.number:
            return write(file, data)
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(file, bytes(data)[: room[0]])
        room[0] -= written
        return written

    log = tmp_path / "log"
    with log.open("w") as out:
        writer = LineWriter(out)
        monkeypatch.setattr(os, "write", almost_full)
        for _ in range(3):
            writer.write("lost\n")
        writer.flush(PATIENCE)
        room[0] = 1000
        assert writer.take_lost() == 2
        writer.write("told\n")
        writer.flush(PATIENCE)
    assert log.read_text() == "lost\nlo\ntold\n"
    assert writer.take_lost() == 0


def test_what_was_to_tell_of_lost_lines_and_is_lost_is_told_by_the_next() -> None:
    with Path("/dev/full").open("w") as out:
        writer = LineWriter(out)
        told = []
        for _ in range(3):
            told.append(writer.take_lost())
            writer.write("lost\n")
            writer.flush(PATIENCE)
        assert [*told, writer.take_lost()] == [0, 1, 2, 3]


def test_a_stream_that_is_closed_writes_into_no_other_file(tmp_path: Path) -> None:
    out = (tmp_path / "log").open("w")
    writer, number = LineWriter(out), out.fileno()
    out.close()
    with (tmp_path / "other").open("w") as other:
        assert other.fileno() == number
        writer.write("lost\n")
        writer.flush(PATIENCE)
    assert (tmp_path / "other").read_text() == ""
    assert writer.take_lost() == 1


def test_where_there_can_be_no_thread_lines_are_written_all_the_same(
    pipe: tuple[int, LineWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    readable, writer = pipe
    for line in ("first\n", "second\n"):
        writer.write(line)
    assert read_until(readable, "second") == ["first", "second"]


def test_a_thread_that_is_stuck_is_left_behind_by_a_fork(tmp_path: Path) -> None:
    said = tmp_path / "said"
    ended = run_script(
        f"""
        readable, writable = os.pipe()
        size = fill(writable)
        writer = LineWriter(open(writable, "w"))
        writer.write("of the parent\\n")
        writer.write("of the parent too\\n")
        pid = os.fork()
        if pid == 0:
            other = LineWriter(open({str(said)!r}, "w"))
            other.write("of the child\\n")
            writer.write("of the child too\\n")
            flush_lines(60)
            os._exit(0)
        while size:
            size -= len(os.read(readable, size))
        writer.flush(60)
        os.waitpid(pid, 0)
        sys.stdout.buffer.write(os.read(readable, 65536))
        """
    )
    assert sorted(ended.stdout.decode().splitlines()) == [
        "of the child too",
        "of the parent",
        "of the parent too",
    ]
    assert said.read_text() == "of the child\n"


ENDS = {
    "return": ("", 0),
    "exit": ("sys.exit(3)", 3),
    "error": ("1 / 0", 1),
    "a process that is watched": ("_work(lambda child: 1 / 0, Child(0, print, print))", 1),
    "the end of one": ("_work(lambda child: 4, Child(0, print, print))", 4),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_process_its_last_lines_are_written(end: str) -> None:
    code, status = ENDS[end]
    ended = run_script(
        f"""
        writer = LineWriter(sys.stderr)
        for number in range(1000):
            writer.write(f"{{number}}\\n")
        {code}
        """
    )
    said = ended.stderr.decode().splitlines()
    assert [line for line in said if line.isdigit()] == [str(number) for number in range(1000)]
    assert ended.returncode == status
    assert ("ZeroDivisionError: division by zero" in said) == ("1 / 0" in code)


@pytest.mark.parametrize("end", [end for end in ENDS if end != "error"])
def test_whatever_ends_a_process_does_not_wait_for_who_does_not_read(end: str) -> None:
    code, status = ENDS[end]
    readable, writable = os.pipe()
    fill(writable)
    with os.fdopen(readable), os.fdopen(writable) as full:
        ended = run_script(
            f"""
            LineWriter(sys.stdout).write("a line\\n")
            LineWriter(sys.stderr).write("a line\\n")
            {code}
            """,
            full.fileno(),
        )
    assert ended.returncode == status


def test_what_is_logged_once_threads_have_ended_is_written() -> None:
    ended = run_script(
        """
        class Late:
            writer = LineWriter(sys.stderr)

            def __del__(self):
                self.writer.write("late\\n")

        late = Late()
        late.writer.write("first\\n")
        """
    )
    assert ended.stderr.decode() == "first\nlate\n"


def run_script(script: str, out: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    lines = script.splitlines()
    indent = len(lines[1]) - len(lines[1].lstrip())
    head = """
import os, sys
from support.pipes import fill
from taskflow_bootstrap.processes import Child, _work
from taskflow_http.line_writer import LineWriter, flush_lines
"""
    return subprocess.run(
        [sys.executable, "-c", head + "\n".join(line[indent:] for line in lines)],
        stdout=out,
        stderr=out,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=90,
        check=False,
    )
