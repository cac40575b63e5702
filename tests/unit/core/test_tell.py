"""The handlers that tell people: whom, of what, and when there is nothing to tell any more."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from support.samples import NOW, PASSWORD, World, actor, new_id
from taskflow_core import (
    EventType,
    InvalidCredentials,
    JobKind,
    JobState,
    JobView,
    LedgerEntry,
    LogInAttempt,
    Notice,
    NoticeKind,
    Origin,
    Outcome,
    PasswordReset,
    Priority,
    RefreshReused,
    Role,
    Status,
    Task,
    TaskChange,
    TaskChanges,
    TaskDeletion,
    TaskRestoration,
    Unaddressable,
    Unavailable,
    Undeliverable,
    User,
    UserChange,
    UserChanges,
    UserDeletion,
)
from taskflow_core.permissions import Actor
from taskflow_core.tasks import as_text
from taskflow_core.use_cases.tasks import notify_overdue

DUE = NOW - timedelta(minutes=5)
NOT_TOLD: list[tuple[dict[str, Any], str]] = [
    ({"notifications": False}, "the owner wants no notices"),
    ({"active": False}, "the owner cannot sign in"),
]


@pytest.fixture
def world() -> World:
    return World()


async def work(world: World) -> None:
    """Do all that is due."""
    while await world.use_cases.run_job():
        pass


async def why(world: World) -> list[str | None]:
    """Do all that is due, and return what is noted of each job that is done."""
    notes = []
    while ran := await world.use_cases.run_job():
        assert ran.outcome is Outcome.DONE
        notes.append(ran.note)
    return notes


async def scan(world: World) -> None:
    """See what fell overdue, and do all that is due."""
    world.clock.forward(notify_overdue.EVERY)
    await world.use_cases.notify_overdue()
    await work(world)


class TestOverdue:
    def overdue(self, world: World, **owner: Any) -> Task:
        return world.add_task(world.add_user(**owner).id, title="Write it", due_date=DUE)

    async def test_the_owner_is_told(self, world: World) -> None:
        task = self.overdue(world, email="a@b.example", name="Ada")
        await scan(world)
        (notice,) = world.notifier.sent
        (job,) = world.jobs(JobKind.TASK_OVERDUE)
        assert notice == Notice(
            id=notice.id, kind=NoticeKind.TASK_OVERDUE, user_id=task.user_id, email="a@b.example", name="Ada",
            at=job.created_at,
            facts={"task_id": str(task.id), "title": "Write it", "due_date": as_text(DUE) or ""},
        )  # fmt: skip
        assert job.state is JobState.DONE
        await scan(world)
        assert len(world.notifier.sent) == 1

    async def test_the_notices_id_is_the_tasks_and_the_due_dates(self, world: World) -> None:
        task, other = self.overdue(world), self.overdue(world)
        await scan(world)
        world.store.told.clear()  # as if it were told anew
        await scan(world)
        world.store.tasks[task.id].due_date = DUE + timedelta(seconds=1)
        await scan(world)
        first, again, moved = (n.id for n in world.notifier.sent if n.facts["task_id"] == str(task.id))
        assert first == again != moved
        others = {n.id for n in world.notifier.sent if n.facts["task_id"] == str(other.id)}
        assert len(others) == 1
        assert others.isdisjoint({first, moved})
        assert first.version == 5

    @pytest.mark.parametrize(("owner", "note"), NOT_TOLD)
    async def test_who_opted_out_or_may_not_sign_in_is_not(
        self, world: World, owner: dict[str, Any], note: str
    ) -> None:
        self.overdue(world, **owner)
        await world.use_cases.notify_overdue()
        assert await why(world) == [note]
        assert world.notifier.sent == []
        (job,) = world.jobs(JobKind.TASK_OVERDUE)
        assert job.state is JobState.DONE

    async def test_nor_later_when_notices_are_wanted_again(self, world: World) -> None:
        task = self.overdue(world, notifications=False)
        await scan(world)
        wanted = UserChange(task.user_id, UserChanges(notifications=True))
        await world.use_cases.change_user(wanted, actor(world.store.users[task.user_id]))
        await scan(world)
        assert world.notifier.sent == []
        assert len(world.jobs(JobKind.TASK_OVERDUE)) == 1

    async def test_nor_is_who_is_gone(self, world: World) -> None:
        task = self.overdue(world)
        await world.use_cases.notify_overdue()
        await world.use_cases.delete_user(UserDeletion(task.user_id), Actor.operator())
        await work(world)
        assert world.notifier.sent == []

    @pytest.mark.parametrize(
        ("how", "note"),
        [
            ("completed", "the task is closed"),
            ("moved", "the task is due at another time"),
            ("cleared", "the task is due at another time"),
            ("deleted", "the task is gone"),
        ],
    )
    async def test_what_was_settled_meanwhile_is_not_told_and_can_be_again(
        self, world: World, how: str, note: str
    ) -> None:
        task = self.overdue(world)
        owner = actor(world.store.users[task.user_id])
        await world.use_cases.notify_overdue()
        changes = {
            "completed": TaskChanges(status=Status.COMPLETED),
            "moved": TaskChanges(due_date=NOW + timedelta(days=1)),
            "cleared": TaskChanges(due_date=None),
        }
        if how == "deleted":
            await world.use_cases.delete_task(TaskDeletion(task.id), owner)
        else:
            await world.use_cases.change_task(TaskChange(task.id, changes[how]), owner)
        assert await why(world) == [note]
        assert world.notifier.sent == []
        assert world.store.told == {}
        stored = world.store.tasks[task.id]
        stored.deleted_at, stored.status, stored.due_date = None, Status.PENDING, DUE
        await scan(world)
        assert len(world.notifier.sent) == 1

    async def test_each_due_date_is_told_of_once_however_often_it_comes_back(self, world: World) -> None:
        task = self.overdue(world)
        owner = actor(world.store.users[task.user_id])
        later = DUE + timedelta(minutes=1)
        for due_date in (DUE, later, DUE, later, DUE):
            await world.use_cases.change_task(TaskChange(task.id, TaskChanges(due_date=due_date)), owner)
            await scan(world)
        told = [notice.facts["due_date"] for notice in world.notifier.sent]
        assert told == [as_text(DUE), as_text(later)]

    async def test_a_due_date_set_by_mistake_makes_no_second_notice_of_the_one_that_was_meant(
        self, world: World
    ) -> None:
        task = self.overdue(world)
        owner = actor(world.store.users[task.user_id])
        await scan(world)
        mistaken = TaskChange(task.id, TaskChanges(due_date=DUE + timedelta(minutes=1)))
        await world.use_cases.change_task(mistaken, owner)
        world.clock.forward(notify_overdue.EVERY)
        assert await world.use_cases.notify_overdue()
        await world.use_cases.change_task(TaskChange(task.id, TaskChanges(due_date=DUE)), owner)
        await work(world)
        await scan(world)
        assert [notice.facts["due_date"] for notice in world.notifier.sent] == [as_text(DUE)]

    async def test_while_a_notice_waits_to_be_tried_again_no_second_is_made(self, world: World) -> None:
        task = self.overdue(world)
        owner = actor(world.store.users[task.user_id])
        world.notifier.error = Unavailable()
        await scan(world)
        for due_date in (None, DUE):
            await world.use_cases.change_task(TaskChange(task.id, TaskChanges(due_date=due_date)), owner)
            world.clock.forward(notify_overdue.EVERY)
            assert not await world.use_cases.notify_overdue()
        world.notifier.error = None
        world.clock.forward(timedelta(hours=1))
        await work(world)
        assert len(world.notifier.sent) == 1
        assert len(world.jobs(JobKind.TASK_OVERDUE)) == 1

    async def test_one_that_was_told_of_is_not_again_where_it_is_deleted_and_restored(
        self, world: World
    ) -> None:
        task = self.overdue(world)
        owner = actor(world.store.users[task.user_id])
        await scan(world)
        await world.use_cases.delete_task(TaskDeletion(task.id), owner)
        await scan(world)
        await world.use_cases.restore_task(TaskRestoration(task.id), owner)
        await scan(world)
        assert len(world.notifier.sent) == 1

    async def test_who_it_goes_to_after_that_is_not_told_again(self, world: World) -> None:
        task = self.overdue(world)
        await scan(world)
        other = world.add_user()
        await world.use_cases.change_task(
            TaskChange(task.id, TaskChanges(user_id=other.id)), Actor.operator()
        )
        await scan(world)
        overdue = [notice for notice in world.notifier.sent if notice.kind is NoticeKind.TASK_OVERDUE]
        assert [notice.user_id for notice in overdue] == [task.user_id]

    async def test_a_refusal_for_good_is_its_death(self, world: World) -> None:
        self.overdue(world)
        world.notifier.error = Undeliverable("No such mailbox.")
        await scan(world)
        (job,) = world.jobs(JobKind.TASK_OVERDUE)
        assert (job.state, job.error) == (JobState.DEAD, "No such mailbox.")

    async def test_an_address_that_takes_no_mail_leaves_nothing_dead(self, world: World) -> None:
        self.overdue(world)
        world.notifier.error = Unaddressable()
        await world.use_cases.notify_overdue()
        assert await why(world) == ["the address takes no mail"]
        await scan(world)
        assert len(world.jobs(JobKind.TASK_OVERDUE)) == 1


class TestReassigned:
    def moved(self, world: World, task_id: UUID, previous: UUID) -> LedgerEntry:
        payload = {"user_id": str(previous), "title": "Write it"}
        return world.add_job(JobKind.TASK_REASSIGNED, subject=task_id, payload=payload)

    @pytest.mark.parametrize("deleted_at", [None, NOW])
    async def test_the_previous_owner_is_told_whatever_became_of_it(
        self, world: World, deleted_at: datetime | None
    ) -> None:
        owner = world.add_user()
        task = world.add_task(world.add_user().id, title="Another title", deleted_at=deleted_at)
        job = self.moved(world, task.id, owner.id)
        assert await why(world) == [None]
        assert world.notifier.sent == [
            Notice(
                id=job.id,
                kind=NoticeKind.TASK_REASSIGNED,
                user_id=owner.id,
                email=owner.email,
                name=owner.name,
                at=NOW,
                facts={"task_id": str(task.id), "title": "Write it"},
            )
        ]

    async def test_not_of_what_came_back(self, world: World) -> None:
        owner = world.add_user()
        self.moved(world, world.add_task(owner.id).id, owner.id)
        assert await why(world) == ["the task came back"]
        assert world.notifier.sent == []

    @pytest.mark.parametrize(("given", "note"), NOT_TOLD)
    async def test_who_opted_out_or_may_not_sign_in_is_not(
        self, world: World, given: dict[str, Any], note: str
    ) -> None:
        self.moved(world, world.add_task(world.add_user().id).id, world.add_user(**given).id)
        assert await why(world) == [note]
        assert world.notifier.sent == []


class TestAssigned:
    def assigned(self, world: World, task: Task, to: UUID) -> LedgerEntry:
        return world.add_job(JobKind.TASK_ASSIGNED, subject=task.id, payload={"user_id": str(to)})

    @pytest.mark.parametrize("due_date", [None, DUE])
    async def test_the_new_owner_is_told(self, world: World, due_date: datetime | None) -> None:
        owner = world.add_user()
        task = world.add_task(owner.id, title="Write it", due_date=due_date, priority=Priority.HIGH)
        job = self.assigned(world, task, owner.id)
        assert await why(world) == [None]
        assert world.notifier.sent == [
            Notice(
                id=job.id,
                kind=NoticeKind.TASK_ASSIGNED,
                user_id=owner.id,
                email=owner.email,
                name=owner.name,
                at=NOW,
                facts={"task_id": str(task.id), "title": "Write it", "due_date": as_text(due_date) or ""},
            )
        ]

    @pytest.mark.parametrize(("given", "note"), NOT_TOLD)
    async def test_who_opted_out_or_may_not_sign_in_is_not(
        self, world: World, given: dict[str, Any], note: str
    ) -> None:
        owner = world.add_user(**given)
        self.assigned(world, world.add_task(owner.id), owner.id)
        assert await why(world) == [note]
        assert world.notifier.sent == []

    async def test_nobody_is_told_of_what_is_somebody_elses_by_now_or_gone(self, world: World) -> None:
        first, second = world.add_user(), world.add_user()
        self.assigned(world, world.add_task(second.id), first.id)
        self.assigned(world, world.add_task(first.id, deleted_at=NOW), first.id)
        gone = world.add_user(deleted_at=NOW)
        self.assigned(world, world.add_task(gone.id), gone.id)
        assert await why(world) == [
            "the task is gone or another's", "the task is gone or another's", "the owner cannot sign in",
        ]  # fmt: skip
        assert world.notifier.sent == []
        assert {job.state for job in world.jobs()} == {JobState.DONE}

    @pytest.mark.parametrize("status", list(Status))
    async def test_nobody_is_told_of_what_is_closed_by_now(self, world: World, status: Status) -> None:
        owner = world.add_user()
        self.assigned(world, world.add_task(owner.id, status=status), owner.id)
        assert await why(world) == [None if status.is_open else "the task is closed"]
        assert len(world.notifier.sent) == status.is_open
        assert {job.state for job in world.jobs()} == {JobState.DONE}

    async def test_an_address_that_takes_no_mail_leaves_nothing_dead(self, world: World) -> None:
        owner = world.add_user()
        self.assigned(world, world.add_task(owner.id), owner.id)
        world.notifier.error = Unaddressable()
        assert await why(world) == ["the address takes no mail"]


class TestSecurityEvents:
    def event(self, world: World, user: User) -> LedgerEntry:
        return world.add_job(JobKind.SECURITY_EVENT, subject=user.id, payload={"type": "role.changed"})

    @pytest.mark.parametrize("given", [{}, {"notifications": False}, {"active": False}])
    async def test_everybody_is_told_opted_out_or_not(self, world: World, given: dict[str, Any]) -> None:
        user = world.add_user(**given)
        job = self.event(world, user)
        await work(world)
        assert world.notifier.sent == [
            Notice(
                id=job.id,
                kind=NoticeKind.SECURITY_EVENT,
                user_id=user.id,
                email=user.email,
                name=user.name,
                at=NOW,
                facts={"type": "role.changed"},
            )
        ]

    async def test_but_who_is_gone(self, world: World) -> None:
        self.event(world, world.add_user(deleted_at=NOW))
        assert await why(world) == ["the account is gone"]
        assert world.notifier.sent == []

    async def test_one_that_cannot_be_told_is_left_for_somebody_to_see(self, world: World) -> None:
        self.event(world, world.add_user())
        world.notifier.error = Unaddressable()
        await work(world)
        (job,) = world.jobs(JobKind.SECURITY_EVENT)
        assert (job.state, job.error) == (JobState.DEAD, "No notice can be sent to such an address.")

    async def test_one_is_told_of_what_is_done_to_ones_account(self, world: World) -> None:
        user = world.add_user()
        change = UserChange(user.id, UserChanges(active=False))
        await world.use_cases.change_user(change, Actor.operator("request-1"))
        (job,) = world.jobs(JobKind.SECURITY_EVENT)
        assert (job.subject, job.request_id) == (user.id, "request-1")
        assert job.payload == {
            "type": "activity.changed", "at": as_text(NOW), "active": "false", "by": "operator",
        }  # fmt: skip
        await work(world)
        assert [notice.facts for notice in world.notifier.sent] == [job.payload]

    async def test_of_another_email_the_one_before_is_told(self, world: World) -> None:
        user = world.add_user(email="old@example.com", name="Ada", notifications=False)
        for email in ("new@example.com", "newer@example.com"):
            change = UserChange(user.id, UserChanges(email=email))
            await world.use_cases.change_user(change, Actor.operator("request-1"))
        await work(world)
        assert [notice.email for notice in world.notifier.sent] == ["old@example.com", "new@example.com"]
        for notice, event in zip(world.notifier.sent, world.events(), strict=True):
            assert (notice.user_id, notice.name, event.type) == (user.id, "Ada", EventType.EMAIL_CHANGED)
            assert notice.facts == {"type": "email.changed", "at": as_text(NOW), "by": "operator"}
            assert event.detail == {"by": "operator"}

    async def test_the_email_before_is_shown_with_no_job(self, world: World) -> None:
        user = world.add_user(email="old@example.com")
        change = UserChange(user.id, UserChanges(email="new@example.com"))
        await world.use_cases.change_user(change, Actor.operator())
        (job,) = world.jobs(JobKind.SECURITY_EVENT)
        assert "old@" not in f"{job!r} {JobView.of(job)!r}"

    async def test_the_email_before_is_not_told_of_an_account_that_is_gone(self, world: World) -> None:
        user = world.add_user()
        change = UserChange(user.id, UserChanges(email="new@example.com"))
        await world.use_cases.change_user(change, Actor.operator())
        await world.use_cases.delete_user(UserDeletion(user.id), Actor.operator())
        ran = await world.use_cases.run_job()
        assert ran is not None
        assert (ran.outcome, ran.note) == (Outcome.DONE, "the account is gone")
        assert world.notifier.sent == []


async def fail_to_log_in(world: World, _: User) -> None:
    for _n in range(5):
        with pytest.raises(InvalidCredentials):
            await world.use_cases.log_in(LogInAttempt("a@b", "wrong password", request_id="request-1"))


async def log_in_elsewhere(world: World, user: User) -> None:
    user.password_hash = await world.passwords.hash(PASSWORD)
    world.store.put_user(user)
    world.add_session(user.id)
    elsewhere = Origin(network="elsewhere", user_agent="Unknown/1.0")
    await world.use_cases.log_in(LogInAttempt("a@b", PASSWORD, elsewhere, "request-1"))


async def reuse_a_token(world: World, user: User) -> None:
    token = world.refresh_tokens.of(world.add_session(user.id))
    await world.use_cases.refresh(token)
    world.clock.forward(timedelta(minutes=1))
    with pytest.raises(RefreshReused):
        await world.use_cases.refresh(token, "request-1")


async def get_a_new_password(world: World, user: User) -> None:
    await world.use_cases.reset_password(PasswordReset(user.id, PASSWORD), Actor.operator("request-1"))


async def get_another_role(world: World, user: User) -> None:
    change = UserChange(user.id, UserChanges(role=Role.MANAGER, active=False))
    await world.use_cases.change_user(change, Actor.operator("request-1"))


@pytest.mark.parametrize(
    ("happen", "types"),
    [
        (fail_to_log_in, [EventType.LOGIN_FAILURES]),
        (log_in_elsewhere, [EventType.NEW_DEVICE]),
        (reuse_a_token, [EventType.REFRESH_REUSED]),
        (get_a_new_password, [EventType.PASSWORD_CHANGED]),
        (get_another_role, [EventType.ROLE_CHANGED, EventType.ACTIVITY_CHANGED]),
    ],
)
async def test_each_event_makes_a_job(
    world: World, happen: Callable[[World, User], Awaitable[None]], types: list[EventType]
) -> None:
    user = world.add_user(email="a@b")
    await happen(world, user)
    assert [event.type for event in world.events()] == types
    facts = [{**event.detail, "type": event.type, "at": as_text(event.at)} for event in world.events()]
    jobs = world.jobs(JobKind.SECURITY_EVENT)
    assert [job.payload for job in jobs] == facts
    assert {(job.subject, job.request_id) for job in jobs} == {(user.id, "request-1")}


async def test_a_job_about_nothing_fails(world: World) -> None:
    world.add_job(JobKind.SECURITY_EVENT, payload={"type": "role.changed"})
    ran = await world.use_cases.run_job()
    assert ran is not None
    assert ran.outcome is Outcome.FAILED
    assert "is about somebody" in (ran.error or "")


async def test_a_task_nobody_has_is_told_of_to_nobody(world: World) -> None:
    world.add_job(JobKind.TASK_OVERDUE, subject=new_id(), payload={"due_date": as_text(DUE) or ""})
    await work(world)
    assert world.notifier.sent == []
