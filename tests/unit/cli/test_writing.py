"""What a command that writes a file does to whatever has the name already."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from support.cli import Cli
from support.samples import World
from taskflow_cli.writing import output_file

LINES = 5


@pytest.fixture(params=["export", "openapi"])
def write(request: pytest.FixtureRequest, taskflow: Cli, world: World) -> Callable[[object], str]:
    """Write to a file by each command that can; return what it says on standard error."""
    ada = world.add_user()
    for number in range(LINES):
        world.add_task(ada.id, title=f"Task {number}")
    words = ("tasks", "export") if request.param == "export" else ("openapi", "-o")

    def run(target: object) -> str:
        ended = taskflow(*words, target)
        assert ended.exit_code in {0, 1, 2}
        assert (ended.exit_code == 0) == ("Error" not in ended.stderr)
        return ended.stderr

    return run


Write = Callable[[object], str]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owners_alone(write: Write, tmp_path: Path) -> None:
    file = tmp_path / ("n" * 252)
    write(file)
    assert mode_of(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_mode_and_owner(write: Write, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text("before")
    file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    before = file.stat()
    write(file)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert file.read_text().startswith("{")


def test_links_stay_and_what_they_lead_to_is_replaced(write: Write, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "tasks.jsonl"
    target.write_text("before")
    (tmp_path / "near").symlink_to("there/tasks.jsonl")
    (tmp_path / "far").symlink_to("near")
    write(tmp_path / "far")
    assert (tmp_path / "far").is_symlink()
    assert (tmp_path / "near").is_symlink()
    assert target.read_text().startswith("{")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["far", "near", "tasks.jsonl", "there"]


def test_other_hard_links_keep_what_they_had(write: Write, tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    other.write_text("before")
    file.hardlink_to(other)
    write(file)
    assert other.read_text() == "before"


def test_a_planted_temporary_file_is_not_followed(write: Write, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for ending in (".part", ".new", ".tmp"):
        (tmp_path / f"tasks.jsonl{ending}").symlink_to(precious)
    write(tmp_path / "tasks.jsonl")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "tasks.jsonl").is_symlink()


def test_a_pipe_is_written_to_and_stays(write: Write, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(tmp_path / "link")
    reader.join(20)
    assert read[0].startswith(b"{")
    assert pipe.is_fifo()


def test_a_device_is_written_to_and_stays(write: Write, tmp_path: Path) -> None:
    null = put_device(tmp_path / "null", 3)
    assert "Error" not in write(null)
    assert null.is_char_device()


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_an_inherited_descriptor_is_written_to(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "out.txt"
    command = f"{sys.executable} -m taskflow_cli.main openapi -o /dev/fd/3"
    where = "> out.txt 3>&1" if kind == "file" else "3>&1 | cat > out.txt"
    shell = f"(echo before; {command}; echo after) {where}"
    subprocess.run(["bash", "-c", shell], cwd=tmp_path, check=True, capture_output=True)
    written = file.read_text()
    assert written.startswith("before\n{")
    assert written.endswith("}\nafter\n")
    assert list(tmp_path.iterdir()) == [file]


def put_directory(folder: Path) -> str:
    (folder / "d").mkdir()
    return str(folder / "d")


def put_dangling(folder: Path) -> str:
    (folder / "link").symlink_to("nowhere")
    return str(folder / "link")


def put_loop(folder: Path) -> str:
    (folder / "loop").symlink_to("loop")
    return str(folder / "loop")


def put_socket(folder: Path) -> str:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s"))
    return str(folder / "s")


def put_device(path: Path, minor: int) -> Path:
    # Never one of the machine's own: a test that fails as root would replace it.
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        path.open("ab").close()
    except OSError:
        pytest.skip("no device can be made here")
    return path


def put_full_disk(folder: Path) -> str:
    return str(put_device(folder / "full", 7))


@pytest.mark.parametrize(
    ("put", "told"),
    [
        (lambda _: "", "is empty"),
        (put_directory, "Is a directory"),
        (lambda folder: f"{folder}/new/", "No such file or directory"),
        (lambda folder: f"{folder}/missing/x", "No such file or directory"),
        (lambda folder: f"{folder}/{'n' * 300}", "File name too long"),
        (
            lambda folder: f"{folder}/missing\nError: \x1b[2J/x",
            "missing\\nError: \N{REPLACEMENT CHARACTER}[2J/x",
        ),
        (put_dangling, "a link to a file that does not exist"),
        (put_loop, "Too many levels of symbolic links"),
        (put_socket, "it is a socket"),
        (put_full_disk, "No space left"),
    ],
)
def test_what_cannot_be_written_is_told_and_nothing_is_left(
    write: Write, tmp_path: Path, put: Callable[[Path], str], told: str
) -> None:
    target = put(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert told in write(target)
    assert sorted(tmp_path.iterdir()) == before


def written_while(name: Path, meanwhile: Callable[[], object]) -> None:
    with output_file(str(name)) as file:
        meanwhile()
        file.write(b"ours")


def test_a_reader_that_goes_away_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(click.ClickException, match="its reader has closed it"):
        written_while(pipe, lambda: os.close(reader))


def test_a_file_that_another_process_puts_there_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    other.write_text("precious")
    with pytest.raises(click.ClickException, match="replaced it meanwhile"):
        written_while(file, lambda: file.symlink_to(other))
    assert other.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == [file, other]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_old_file_and_no_other(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    code = (
        "import asyncio, sys\n"
        "from taskflow_cli.writing import output_file\n"
        "async def main():\n"
        "    with output_file('file') as file:\n"
        "        file.write(b'half'); file.flush()\n"
        "        print('written', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        assert process.wait(20) in {-number, 128 + number}
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "before"


def test_another_users_file_is_not_made_ones_own() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        check_that_a_strangers_file_stays(Path(name) / "file")


def check_that_a_strangers_file_stays(file: Path) -> None:
    file.write_text("before")
    file.chmod(0o666)
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            os.setgid(4321)
            os.setuid(1234)
            with output_file(str(file)) as opened:
                opened.write(b"x")
        except BaseException as error:  # noqa: BLE001 - it is the answer of a forked child
            code = 3 if "belongs to another user" in str(error) else 4
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]
