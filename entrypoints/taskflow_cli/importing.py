"""`taskflow tasks import`: JSON Lines, one task a line, in constant memory.

What an export wrote goes in again: title, description, status, priority, due date and owner are kept. Ids,
versions, times and history are not: an imported task is a new one, and one that is completed was
completed now. Nobody is told of any of it, unless that is asked for.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final
from uuid import UUID

import click
import msgspec

from taskflow_cli import options
from taskflow_cli.errors import INCOMPLETE, faults_of
from taskflow_cli.output import progress_bar
from taskflow_cli.session import Session, with_session
from taskflow_cli.tables import printable
from taskflow_core import Fault, InvalidInput, NewTask, TaskFlowError, Unavailable
from taskflow_http import schemas
from taskflow_http.times import decode_time

if TYPE_CHECKING:
    from rich.progress import Progress

    from taskflow_core import UseCases

CHUNK_LINES: Final = 100
"""Of one transaction: an owner whom others write to as well is held up for some 50 ms."""
CHUNK_BYTES: Final = 1024 * 1024
LINE_BYTES_MAX: Final = 1024 * 1024
READ_ONLY: Final = ("id", "createdAt", "updatedAt", "completedAt", "version")
"""What an export has and an import makes anew."""
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Faults = list[dict[str, str]]
Chunk = list[tuple[int, bytes | None]]


@click.command("import")
@click.argument("source", type=click.File("rb"), metavar="FILE|-")
@click.option("--owner", metavar="EMAIL|ID", help="Whose all of them are to be, whatever the lines say.")
@click.option(
    "--from-line", type=click.IntRange(min=1), default=1, help="Begin there, to go on after a stop."
)
@click.option(
    "--notify", is_flag=True, help="Tell owners of what becomes theirs, and of what is overdue already."
)
@with_session
async def import_tasks(
    session: Session, source: IO[bytes], owner: str | None, from_line: int, *, notify: bool
) -> None:
    """Create a task for each line of a file of JSON Lines.

    A line is the body of POST /tasks, in UTF-8, ended by a line feed; what an export adds to it is
    ignored. A line that is wrong is reported by its number, and the others are kept. It ends with exit
    code 1 where a line failed.

    Nobody is told of these tasks, unless with --notify. Due dates to come are told of when they pass.
    """
    owner_id = None if owner is None else await session.user_id(owner)
    run = _Import(session, owner_id, notify, next_line=from_line)
    try:
        bar = nullcontext() if session.out.as_json else progress_bar("Importing", _size(source))
        with options.interruptible(), bar as run.progress:
            for chunk in _chunks(_lines(source, from_line, run.progress)):
                await run.keep(chunk)
    except BaseException:
        click.echo(f"Stopped. To go on: --from-line {run.next_line}", err=True)
        raise
    finally:
        run.close()
    if run.failed:
        click.get_current_context().exit(INCOMPLETE)


@dataclass(slots=True)
class _Import:
    """What was done so far.

    Attributes:
        next_line: The first one that is not dealt with.
        progress: The bar above which faults are printed; None where there is none.
    """

    session: Session
    owner: UUID | None
    notify: bool
    next_line: int
    created: int = 0
    failed: int = 0
    progress: Progress | None = None

    async def keep(self, chunk: Chunk) -> None:
        """Create the tasks of some lines in one transaction, again where it lost a race for locks."""
        # Nothing is told before the commit is there.
        from taskflow_bootstrap.retried import Retried

        faults = await Retried(self._create_all)(chunk)
        for number, found in faults:
            self._tell(number, found)
        self.failed += len(faults)
        self.created += len(chunk) - len(faults)
        self.next_line = chunk[-1][0] + 1

    async def _create_all(self, chunk: Chunk) -> list[tuple[int, Faults]]:
        async with self.session.taskflow.together() as use_cases:
            return [
                (number, found) for number, line in chunk if (found := await self._create(use_cases, line))
            ]

    async def _create(self, use_cases: UseCases, line: bytes | None) -> Faults:
        try:
            await use_cases.create_task(_parsed(line, self.owner, notify=self.notify), self.session.actor)
        except Unavailable:
            raise
        except InvalidInput as error:
            return faults_of(error)
        except TaskFlowError as error:
            return [{"pointer": "", "detail": error.detail}]
        return []

    def _tell(self, number: int, faults: Faults) -> None:
        if self.session.out.as_json:
            self.session.out.json_line({"line": number, "errors": faults})
            return
        for fault in faults:
            words = (f"line {number}:", fault["pointer"].lstrip("/"), fault["detail"])
            sentence = printable(" ".join(word for word in words if word))
            if self.progress is None:
                click.echo(sentence, err=True)
            else:
                self.progress.console.print(sentence)

    def close(self) -> None:
        """Tell what was done, after an interruption too."""
        if self.session.out.as_json:
            told = {"created": self.created, "failed": self.failed, "nextLine": self.next_line}
            self.session.out.json_line(told)
        self.session.out.say(f"{self.created} tasks created, {self.failed} lines failed.")


def _chunks(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[Chunk]:
    """Yield lines in portions, each bounded in number and in bytes."""
    chunk: Chunk = []
    size = 0
    for number, line in lines:
        chunk.append((number, line))
        size += len(line or b"")
        if len(chunk) == CHUNK_LINES or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _parsed(line: bytes | None, owner: UUID | None, *, notify: bool) -> NewTask:
    from taskflow_http.examination import examine

    if line is None:
        raise _wrong(f"is longer than {LINE_BYTES_MAX} bytes")
    try:
        document = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if b"\r" in line.strip():
            raise _wrong("is not JSON: lines must end with a line feed, not with a carriage return") from None
        raise _wrong("is not JSON in UTF-8, or is nested too deeply") from None
    if isinstance(document, dict):
        for name in READ_ONLY:
            document.pop(name, None)
    try:
        shaped = msgspec.convert(document, schemas.NewTask, dec_hook=decode_time)
    except msgspec.ValidationError:
        shaped = examine(schemas.NewTask, msgspec.json.encode(document))
    own = None if isinstance(shaped.user_id, msgspec.UnsetType) else shaped.user_id
    return NewTask(
        title=shaped.title,
        description=shaped.description,
        status=shaped.status,
        priority=shaped.priority,
        due_date=shaped.due_date,
        user_id=owner or own,
        notify=notify,
    )


def _wrong(sentence: str) -> InvalidInput:
    return InvalidInput([Fault((), sentence)])


def _lines(source: IO[bytes], first: int, progress: Progress | None) -> Iterator[tuple[int, bytes | None]]:
    """Yield number and content of each line that is not blank; None stands for one that is too long.

    A byte order mark of UTF-8 is removed, from each line since files may have been put together.

    Raises:
        InvalidInput: The first line is in UTF-16 or UTF-32.
    """
    number = 0
    while line := source.readline(LINE_BYTES_MAX + 1):
        number += 1
        if number == 1 and (line.startswith(_UTF16_MARKS) or b"\0" in line[:4]):
            raise _wrong("is in UTF-16 or UTF-32; convert it to UTF-8")
        size = len(line)
        whole: bytes | None = line.removeprefix(codecs.BOM_UTF8)
        while len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            line = source.readline(LINE_BYTES_MAX + 1)
            size += len(line)
            whole = None
        if progress is not None:
            progress.advance(progress.task_ids[0], size)
        if number >= first and (whole is None or whole.strip()):
            yield number, whole


def _size(source: IO[bytes]) -> int | None:
    try:
        status = os.fstat(source.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
