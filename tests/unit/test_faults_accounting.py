"""The accounting of `benchmarks.faults` finds nothing where all is well, and whatever is not."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

import support.repository  # noqa: F401 - before what it puts within reach
from benchmarks.faults.accounting import account
from benchmarks.faults.findings import Fault
from benchmarks.faults.of_jobs import EVENT, SAMPLE
from benchmarks.faults.of_notices import notice_id
from benchmarks.faults.records import Attempt, Book, Operation, Sent
from benchmarks.faults.schedule import PAUSE, SPACING, Target, schedule
from benchmarks.faults.snapshot import EntryRow, EventRow, JobRow, Snapshot, TaskRow
from taskflow_core import JobKind
from taskflow_core.tasks import as_text

NOW = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=5)
DUE = NOW - timedelta(minutes=2)
USER, MANAGER, QUIET = uuid4(), uuid4(), uuid4()


@dataclass
class World:
    """A run in which all went well, small enough to see."""

    book: Book = field(default_factory=Book)
    found: Snapshot = field(default_factory=lambda: Snapshot(NOW, told={USER: "user@example.com"}))
    operations: dict[str, Operation] = field(default_factory=dict)

    def create(
        self, name: str, request: str, *, actor: UUID = USER, owner: UUID = USER, due: datetime | None = None
    ) -> UUID:
        task = TaskRow(
            id=uuid4(), user_id=owner, title=name, description=None, status="PENDING", priority=1,
            due_date=due, updated_at=LONG_AGO, completed_at=None, deleted_at=None, version=0,
        )  # fmt: skip
        self.found.tasks[task.id] = task
        changes = {"title": name, "status": "PENDING", "priority": "MEDIUM", "user_id": str(owner)}
        told = changes | ({"due_date": str(as_text(due))} if due else {})
        self.step(task.id, "created", request, actor, {field: [None, new] for field, new in told.items()})
        return task.id

    def step(
        self, task: UUID, action: str, request: str, actor: UUID, changes: dict[str, list[str | None]]
    ) -> None:
        row = self.found.tasks[task]
        row.version += 1
        entry = EntryRow(
            task_id=task, version=row.version, at=LONG_AGO, actor_id=actor, action=action, changes=changes,
            request_id=request,
        )  # fmt: skip
        self.found.history.setdefault(task, []).append(entry)

    def rename(self, task: UUID, title: str, request: str) -> None:
        before, self.found.tasks[task].title = self.found.tasks[task].title, title
        self.step(task, "updated", request, USER, {"title": [before, title]})

    def job(
        self,
        kind: str,
        subject: UUID | None = None,
        request: str | None = None,
        state: str = "done",
        **payload: str,
    ) -> JobRow:
        job = JobRow(
            id=uuid4(), kind=kind, subject=subject, payload=payload, state=state, tries=1, max_tries=16,
            fence=1, run_at=LONG_AGO, lease_until=None, error=None, finished_at=NOW, request_id=request,
        )  # fmt: skip
        self.found.jobs[job.id] = job
        return job

    def asked(self, name: str, operation: Operation, *attempts: Attempt) -> Operation:
        operation.attempts += attempts
        self.operations[name] = self.book.add(operation)
        return operation

    def mail(self, id: UUID, to: str = "user@example.com") -> None:
        self.book.mails.append(Sent(id, to, NOW))

    @property
    def told(self) -> list[str]:
        return [str(finding) for finding in account(self.book, self.found).findings]


def done(request: str, body: bytes = b"{}") -> Attempt:
    return Attempt(request, sent=True, status=200, body=body)


def unanswered(request: str) -> Attempt:
    return Attempt(request, sent=True)


@pytest.fixture
def world() -> World:
    world = World()
    late = world.create("late", "r1", actor=MANAGER, due=DUE)
    world.asked("assigned", Operation("create", MANAGER, "created", changes={"title": "late"}), done("r1"))
    world.mail(world.job(JobKind.TASK_ASSIGNED, late, "r1", user_id=str(USER)).id)
    world.job(JobKind.TASK_OVERDUE, late, due_date=str(as_text(DUE)))
    world.mail(notice_id((late, str(as_text(DUE)))))
    pair = (world.create("one", "r2"), world.create("two", "r3"))
    for request in ("r2", "r3"):
        world.asked(request, Operation("create", USER, "created"), done(request))
    for task in pair:
        world.rename(task, "both", "r4")
    batch = Operation("batch", USER, "updated", pair, {"title": "both"}, versions=dict.fromkeys(pair, 2))
    world.asked("batch", batch, done("r4"))
    world.create("once", "r6")
    keyed = Operation("create", USER, "created", key="key", changes={"title": "once"})
    world.asked("keyed", keyed, unanswered("r5"), done("r6", b"same"), done("r7", b"same"))
    world.found.keys = Counter({(USER, "key"): 1})
    world.rename(pair[0], "perhaps", "r8")
    world.asked("perhaps", Operation("rename", USER, "updated", pair[:1]), unanswered("r8"))
    world.asked("not done", Operation("rename", USER, "updated", pair[:1]), unanswered("r9"))
    refused = Attempt("r10", sent=True, status=409, body=json.dumps({"code": "batch_failed"}).encode())
    world.asked("doomed", Operation("batch", USER, "updated", pair, doomed=True), refused)
    sample = world.job(JobKind.SAMPLE_REFUND, None, "r11", fail="0")
    world.found.refunds = Counter({sample.id: 1})
    world.asked("sample", Operation(SAMPLE, None), done("r11"))
    world.job(JobKind.SAMPLE_REFUND, None, "r12", state="dead", fail="9")
    world.asked("dead sample", Operation(SAMPLE, None), done("r12"))
    world.found.events = [EventRow(user_id=USER, type="password.changed", at=NOW)]
    event = {"type": "password.changed", "at": str(as_text(NOW))}
    world.mail(world.job(JobKind.SECURITY_EVENT, USER, "r13", **event).id)
    world.asked("event", Operation(EVENT, USER), done("r13"))
    return world


def test_where_all_is_well_nothing_is_found(world: World) -> None:
    assert world.told == []


# --- what can be wrong, and what is said of it ----------------------------------------------------------


def job_of(world: World, kind: str) -> JobRow:
    return next(job for job in world.found.jobs.values() if job.kind == kind)


def task_of(world: World, title: str) -> TaskRow:
    return next(task for task in world.found.tasks.values() if task.title == title)


def a_task_is_gone(world: World) -> None:
    task = task_of(world, "once").id
    del world.found.tasks[task], world.found.history[task]


def a_step_is_gone(world: World) -> None:
    world.found.history[task_of(world, "both").id].pop()


def the_history_is_gone(world: World) -> None:
    del world.found.history[task_of(world, "both").id]


def a_field_is_not_as_history_has_it(world: World) -> None:
    task_of(world, "both").title = "other"


def a_task_is_deleted_without_a_step(world: World) -> None:
    task_of(world, "both").deleted_at = NOW


def a_batch_is_half_done(world: World) -> None:
    task = task_of(world, "both")
    world.found.history[task.id].pop()
    task.version, task.title = 1, "two"


def a_key_made_two_tasks(world: World) -> None:
    world.create("once", "r7")


def a_key_got_two_answers(world: World) -> None:
    world.operations["keyed"].attempts[-1].body = b"different"


def a_key_is_not_kept(world: World) -> None:
    world.found.keys.clear()


def a_key_took_another_body(world: World) -> None:
    world.operations["keyed"].misuses = ["201"]


def what_was_refused_was_done(world: World) -> None:
    world.rename(task_of(world, "both").id, "doomed", "r10")


def what_was_fine_was_refused(world: World) -> None:
    world.operations["doomed"].doomed = False


def a_version_is_not_the_acknowledged_one(world: World) -> None:
    batch = world.operations["batch"]
    batch.versions = dict.fromkeys(batch.tasks, 3)


def nobody_asked_for_a_step(world: World) -> None:
    world.rename(task_of(world, "both").id, "from nowhere", "r99")


def a_read_was_stale(world: World) -> None:
    world.book.stale.append("a task")


def an_assignment_has_no_job(world: World) -> None:
    del world.found.jobs[job_of(world, JobKind.TASK_ASSIGNED).id]


def an_assignment_has_two_jobs(world: World) -> None:
    job = job_of(world, JobKind.TASK_ASSIGNED)
    twin = replace(job, id=uuid4())
    world.found.jobs[twin.id] = twin
    world.mail(twin.id)


def an_event_has_no_job(world: World) -> None:
    world.found.events *= 2


def a_job_is_not_done(world: World) -> None:
    job = job_of(world, JobKind.TASK_ASSIGNED)
    job.state, job.finished_at = "pending", None


def a_job_hangs(world: World) -> None:
    job = job_of(world, JobKind.TASK_ASSIGNED)
    job.state, job.finished_at, job.lease_until = "running", None, LONG_AGO


def a_sample_is_gone(world: World) -> None:
    job = next(job for job in world.found.jobs.values() if job.request_id == "r12")
    del world.found.jobs[job.id]


def a_sample_left_nothing(world: World) -> None:
    world.found.refunds.clear()


def a_sample_was_done_twice(world: World) -> None:
    world.found.refunds[job_of(world, JobKind.SAMPLE_REFUND).id] += 1


def a_dead_sample_left_something(world: World) -> None:
    job = next(job for job in world.found.jobs.values() if job.state == "dead")
    world.found.refunds[job.id] = 1


def nobody_was_told_of_a_due_date(world: World) -> None:
    world.book.mails.pop(1)


def nobody_was_told_of_an_assignment(world: World) -> None:
    world.book.mails.pop(0)


def a_due_date_was_told_by_two_ids(world: World) -> None:
    world.mail(uuid4())


def a_mail_came_twice_of_one_try(world: World) -> None:
    world.mail(world.book.mails[1].notice)


def a_due_date_was_told_of_by_two_jobs(world: World) -> None:
    world.job(JobKind.TASK_OVERDUE, task_of(world, "late").id, due_date=str(as_text(DUE)))
    world.mail(world.book.mails[1].notice)


def it_was_told_of_what_was_not_due(world: World) -> None:
    task, later = task_of(world, "late"), NOW + timedelta(days=1)
    task.due_date = later
    changes = {"due_date": [as_text(DUE), as_text(later)]}
    world.step(task.id, "updated", "r8", USER, changes)
    world.mail(notice_id((task.id, str(as_text(later)))))


def somebody_was_told_who_opted_out(world: World) -> None:
    world.book.mails[1].to = "quiet@example.com"


@pytest.mark.parametrize(
    ("tamper", "fault", "words"),
    [
        (a_task_is_gone, Fault.LOST, "acknowledged, and left nothing"),
        (a_step_is_gone, Fault.BROKEN, "its history has [1]"),
        (the_history_is_gone, Fault.BROKEN, "has no history"),
        (a_field_is_not_as_history_has_it, Fault.BROKEN, "title is 'other'"),
        (a_task_is_deleted_without_a_step, Fault.BROKEN, "not so by its history"),
        (a_batch_is_half_done, Fault.BROKEN, "changed 1 tasks, not the 2"),
        (a_key_made_two_tasks, Fault.DOUBLED, "done 2 times"),
        (a_key_got_two_answers, Fault.DOUBLED, "2 different answers"),
        (a_key_is_not_kept, Fault.LOST, "its key is kept 0 times"),
        (a_key_took_another_body, Fault.BROKEN, "another body with the same key"),
        (what_was_refused_was_done, Fault.BROKEN, "refused or never sent, and left something"),
        (what_was_fine_was_refused, Fault.BROKEN, "refused with 409"),
        (a_version_is_not_the_acknowledged_one, Fault.LOST, "acknowledged as version 3, kept as 2"),
        (nobody_asked_for_a_step, Fault.BROKEN, "which nobody sent"),
        (a_read_was_stale, Fault.BROKEN, "stale"),
        (an_assignment_has_no_job, Fault.LOST, "no job for assigned task"),
        (an_assignment_has_two_jobs, Fault.DOUBLED, "a job too many for assigned task"),
        (an_event_has_no_job, Fault.LOST, "no job for security event"),
        (a_job_is_not_done, Fault.LOST, "is pending"),
        (a_job_hangs, Fault.BROKEN, "its lease out"),
        (a_sample_is_gone, Fault.LOST, "acknowledged, and made no job"),
        (a_sample_left_nothing, Fault.LOST, "left no refund"),
        (a_sample_was_done_twice, Fault.DOUBLED, "left 2 refunds"),
        (a_dead_sample_left_something, Fault.DOUBLED, "left 1 refunds"),
        (nobody_was_told_of_a_due_date, Fault.LOST, "nobody was told that task"),
        (nobody_was_told_of_an_assignment, Fault.LOST, "and nobody was told"),
        (a_due_date_was_told_by_two_ids, Fault.DOUBLED, "which is nothing's"),
        (a_mail_came_twice_of_one_try, Fault.DOUBLED, "2 mails of 1 tries"),
        (a_due_date_was_told_of_by_two_jobs, Fault.DOUBLED, "2 mails of 2 tries in 2 jobs"),
        (it_was_told_of_what_was_not_due, Fault.BROKEN, "never overdue then"),
        (somebody_was_told_who_opted_out, Fault.BROKEN, "does not want to be"),
    ],
)
def test_what_is_wrong_is_found(
    world: World, tamper: Callable[[World], None], fault: Fault, words: str
) -> None:
    tamper(world)
    assert any(told.startswith(f"{fault}: ") and words in told for told in world.told), world.told


def test_what_was_settled_before_anybody_was_told_need_not_be_told(world: World) -> None:
    task = task_of(world, "late")
    world.step(task.id, "updated", "r8", USER, {"status": ["PENDING", "CANCELLED"]})
    world.operations["perhaps"].tasks = (task.id, *world.operations["perhaps"].tasks)
    task.status = "CANCELLED"
    world.book.mails.pop(1)
    assert world.told == []


def test_who_got_a_task_that_was_closed_then_need_not_be_told_of_it(world: World) -> None:
    task = task_of(world, "late")
    world.step(task.id, "updated", "r8", USER, {"status": ["PENDING", "CANCELLED"]})
    world.operations["perhaps"].tasks = (task.id, *world.operations["perhaps"].tasks)
    task.status = "CANCELLED"
    del world.book.mails[:2]
    assert world.told == []


def test_one_job_may_find_nobody_to_tell_and_another_tell(world: World) -> None:
    world.job(JobKind.TASK_OVERDUE, task_of(world, "late").id, due_date=str(as_text(DUE)))
    assert world.told == []


def test_a_mail_may_come_twice_where_there_were_two_tries(world: World) -> None:
    job_of(world, JobKind.TASK_OVERDUE).fence = 2
    world.mail(world.book.mails[1].notice)
    assert world.told == []
    assert account(world.book, world.found).notices.twice == 1


def test_the_same_seed_kills_the_same_and_everything_as_often() -> None:
    kills = schedule(300, 7)
    assert kills == schedule(300, 7)
    assert kills != schedule(300, 8)
    assert Counter(kill.target for kill in kills) == dict.fromkeys(Target, 30)
    assert {kill.child for kill in kills} == {True, False}
    assert all(
        SPACING[0] <= kill.after <= SPACING[1] and PAUSE[0] <= kill.pause <= PAUSE[1] for kill in kills
    )
