"""What the use cases on accounts do beyond asking whether one may: `test_access.py` has that."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from support.samples import NOW, OPERATOR, PASSWORD, World, actor
from taskflow_core import (
    Action,
    EmailTaken,
    End,
    EventType,
    InvalidInput,
    JobKind,
    JobState,
    LastAdmin,
    NewUser,
    Role,
    TaskQuery,
    UseCases,
    User,
    UserChange,
    UserChanges,
    UserDeletion,
    UserQuery,
    UserView,
    VersionMismatch,
)
from taskflow_core.use_cases.users import delete


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def admin(world: World) -> User:
    return world.add_user(Role.ADMIN)


class TestCreate:
    async def test_the_account_is_as_it_was_asked_for(self, world: World, admin: User) -> None:
        command = NewUser(email="NEW@x.com", name=" New ", password=PASSWORD, role=Role.MANAGER, active=False)
        view = await world.use_cases.create_user(command, actor(admin))
        stored = world.store.users[view.id]
        assert view == UserView.of(stored)
        assert (view.email, view.name, view.role, view.active) == ("new@x.com", "New", Role.MANAGER, False)
        assert (view.created_at, view.version) == (NOW, 1)
        assert view.id.int >> 80 == round(NOW.timestamp() * 1000)
        assert await world.passwords.verify(PASSWORD, stored.password_hash)

    async def test_all_faults_are_told_at_once_and_before_the_password_is_hashed(
        self, world: World, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(world.passwords, "hash", None)
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.create_user(NewUser(email="x", name="", password="short"), actor(admin))
        assert [fault.path for fault in caught.value.faults] == [("email",), ("name",), ("password",)]

    async def test_a_common_password_is_refused(self, world: World, admin: User) -> None:
        with pytest.raises(InvalidInput) as caught:
            await world.use_cases.create_user(
                NewUser(email="a@b", name="N", password="iloveyou"), actor(admin)
            )
        assert [fault.path for fault in caught.value.faults] == [("password",)]

    async def test_an_email_belongs_to_one_account_in_any_letter_case(
        self, world: World, admin: User
    ) -> None:
        world.add_user(email="taken@x.com")
        with pytest.raises(EmailTaken):
            await world.use_cases.create_user(
                NewUser(email="TAKEN@X.com", name="N", password=PASSWORD), actor(admin)
            )
        assert len(world.store.users) == 2

    def test_a_password_is_not_shown(self) -> None:
        shown = repr(NewUser(email="a@b", name="N", password=PASSWORD, role=Role.ADMIN))
        assert PASSWORD not in shown
        assert "a@b" in shown
        assert "ADMIN" in shown


class TestChange:
    async def test_it_returns_the_account_as_it_is_stored(self, world: World, admin: User) -> None:
        user = world.add_user()
        world.clock.forward()
        changes = UserChanges(email="NEW@x.com", name=" N ", role=Role.MANAGER, active=False)
        view = await world.use_cases.change_user(UserChange(user.id, changes, version=1), actor(admin))
        assert view == UserView.of(world.store.users[user.id])
        assert view == replace(
            UserView.of(user),
            email="new@x.com",
            name="N",
            role=Role.MANAGER,
            active=False,
            version=2,
            updated_at=world.clock.now,
        )

    async def test_one_changes_ones_own_name(self, world: World) -> None:
        user = world.add_user()
        view = await world.use_cases.change_user(UserChange(user.id, UserChanges(name="N")), actor(user))
        assert (view.name, view.version) == ("N", 2)

    async def test_one_may_opt_out_of_notices_and_in_again(self, world: World) -> None:
        user = world.add_user()
        for version, wanted in enumerate((False, True), start=2):
            change = UserChange(user.id, UserChanges(notifications=wanted))
            view = await world.use_cases.change_user(change, actor(user))
            assert (view.notifications, view.version) == (wanted, version)
            assert world.store.users[user.id].notifications is wanted
        again = UserChange(user.id, UserChanges(notifications=True))
        assert (await world.use_cases.change_user(again, actor(user))).version == 3

    async def test_a_change_that_changes_nothing_is_not_kept(self, world: World, admin: User) -> None:
        changes = UserChanges(name=admin.name, role=Role.ADMIN, active=True)
        view = await world.use_cases.change_user(UserChange(admin.id, changes), actor(admin))
        assert view == UserView.of(admin)
        assert world.store.users[admin.id] == admin

    async def test_what_is_refused_changes_nothing(self, world: World, admin: User) -> None:
        user, other = world.add_user(), world.add_user()
        refused: list[tuple[UserChange, type[Exception]]] = [
            (UserChange(user.id, UserChanges(name="")), InvalidInput),
            (UserChange(user.id, UserChanges(email=other.email.upper())), EmailTaken),
            (UserChange(user.id, UserChanges(name="N"), version=2), VersionMismatch),
            (UserChange(user.id, UserChanges(role=Role.ADMIN), version=2), VersionMismatch),
            (UserChange(user.id, UserChanges(), version=2), VersionMismatch),
        ]
        for command, error in refused:
            with pytest.raises(error):
                await world.use_cases.change_user(command, actor(admin))
        assert world.store.users[user.id] == user


class TestWhatAChangeTells:
    @pytest.mark.parametrize(
        ("before", "changes", "told"),
        [
            ({}, UserChanges(name="New", notifications=False), []),
            ({}, UserChanges(name="New", email="new@x"), [(EventType.EMAIL_CHANGED, {})]),
            ({"email": "a@b"}, UserChanges(name="New", email=" A@B"), []),
            ({}, UserChanges(role=Role.USER, active=True, name="New"), []),
            ({}, UserChanges(role=Role.ADMIN), [(EventType.ROLE_CHANGED, {"from": "user", "to": "admin"})]),
            ({}, UserChanges(active=False), [(EventType.ACTIVITY_CHANGED, {"active": "false"})]),
            ({"active": False}, UserChanges(active=True), [(EventType.ACTIVITY_CHANGED, {"active": "true"})]),
            (
                {},
                UserChanges(email="new@x", role=Role.MANAGER, active=False),
                [
                    (EventType.EMAIL_CHANGED, {}),
                    (EventType.ROLE_CHANGED, {"from": "user", "to": "manager"}),
                    (EventType.ACTIVITY_CHANGED, {"active": "false"}),
                ],
            ),
        ],
    )
    @pytest.mark.parametrize("by_operator", [False, True])
    async def test_an_email_a_role_or_activity_is_told_and_who_changed_it(
        self,
        world: World,
        admin: User,
        before: dict[str, Any],
        changes: UserChanges,
        told: list[tuple[EventType, dict[str, str]]],
        *,
        by_operator: bool,
    ) -> None:
        user = world.add_user(**before)
        asking = OPERATOR if by_operator else actor(admin)
        now = world.clock.forward()
        await world.use_cases.change_user(UserChange(user.id, changes), asking)
        by = "operator" if by_operator else str(admin.id)
        assert [(e.type, e.detail, e.user_id, e.at) for e in world.events()] == [
            (kind, detail | {"by": by}, user.id, now) for kind, detail in told
        ]

    @pytest.mark.parametrize(
        ("before", "changes", "ends"),
        [
            ({}, UserChanges(active=False), True),
            ({}, UserChanges(active=False, role=Role.ADMIN), True),
            ({}, UserChanges(role=Role.ADMIN), False),
            ({}, UserChanges(name="New"), False),
            ({"active": False}, UserChanges(active=True), False),
            ({"active": False}, UserChanges(active=False, name="New"), False),
        ],
    )
    async def test_who_is_deactivated_is_signed_out(
        self, world: World, before: dict[str, Any], changes: UserChanges, *, ends: bool
    ) -> None:
        user, other = world.add_user(**before), world.add_user()
        mine, anothers = world.add_session(user.id), world.add_session(other.id)
        now = world.clock.forward()
        await world.use_cases.change_user(UserChange(user.id, changes), OPERATOR)
        expected = replace(mine, ended_at=now, end=End.DEACTIVATED) if ends else mine
        assert world.store.sessions == {mine.id: expected, anothers.id: anothers}

    async def test_what_is_refused_tells_and_ends_nothing(self, world: World, admin: User) -> None:
        session = world.add_session(admin.id)
        with pytest.raises(LastAdmin):
            await world.use_cases.change_user(UserChange(admin.id, UserChanges(active=False)), OPERATOR)
        assert world.events() == []
        assert world.store.sessions == {session.id: session}


LOSSES: dict[str, Callable[[UseCases, User], Awaitable[object]]] = {
    "demoted to manager": lambda on, user: on.change_user(
        UserChange(user.id, UserChanges(role=Role.MANAGER)), OPERATOR
    ),
    "demoted to user": lambda on, user: on.change_user(
        UserChange(user.id, UserChanges(role=Role.USER)), OPERATOR
    ),
    "deactivated": lambda on, user: on.change_user(UserChange(user.id, UserChanges(active=False)), OPERATOR),
    "both, with a name": lambda on, user: on.change_user(
        UserChange(user.id, UserChanges(role=Role.USER, active=False, name="N")), OPERATOR
    ),
    "deleted": lambda on, user: on.delete_user(UserDeletion(user.id), OPERATOR),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
class TestTheLastAdmin:
    async def test_it_stays(
        self, world: World, admin: User, lose: Callable[[UseCases, User], Awaitable[object]]
    ) -> None:
        world.add_user(Role.ADMIN, active=False)
        world.add_user(Role.ADMIN, active=False, deleted_at=NOW)
        world.add_user(Role.MANAGER)
        with pytest.raises(LastAdmin):
            await lose(world.use_cases, admin)
        assert world.store.users[admin.id] == admin

    async def test_one_of_two_may_go(
        self, world: World, admin: User, lose: Callable[[UseCases, User], Awaitable[object]]
    ) -> None:
        world.add_user(Role.ADMIN)
        await lose(world.use_cases, admin)
        assert not world.store.users[admin.id].administers

    async def test_who_is_none_may_go(
        self, world: World, admin: User, lose: Callable[[UseCases, User], Awaitable[object]]
    ) -> None:
        inactive = world.add_user(Role.ADMIN, active=False)
        for nobody_special in (inactive, world.add_user(Role.MANAGER), world.add_user()):
            await lose(world.use_cases, nobody_special)
        assert world.store.users[admin.id].administers

    async def test_of_32_who_all_go_at_once_one_stays(
        self, world: World, lose: Callable[[UseCases, User], Awaitable[object]]
    ) -> None:
        admins = [world.add_user(Role.ADMIN) for _ in range(32)]
        ended = await asyncio.gather(
            *(lose(world.use_cases, user) for user in admins), return_exceptions=True
        )
        assert [type(end) for end in ended if isinstance(end, Exception)] == [LastAdmin]
        assert sum(user.administers for user in world.store.users.values()) == 1


async def test_an_admin_may_become_less_restricted_alone(world: World, admin: User) -> None:
    """What does not cost the admin its power needs no other admin."""
    changes = UserChanges(name="N", email="n@x", role=Role.ADMIN, active=True)
    assert (await world.use_cases.change_user(UserChange(admin.id, changes), actor(admin))).name == "N"


class TestDelete:
    async def test_the_account_is_gone_at_once_and_its_email_free(self, world: World, admin: User) -> None:
        user = world.add_user(email="again@x.com")
        world.clock.forward()
        await world.use_cases.delete_user(UserDeletion(user.id, version=1), actor(admin))
        marked = world.store.users[user.id]
        assert (marked.deleted_at, marked.active, marked.version) == (world.clock.now, False, 2)
        page = await world.use_cases.list_users(UserQuery(), actor(admin))
        assert [found.id for found in page.items] == [admin.id]
        command = NewUser(email="again@x.com", name="N", password=PASSWORD)
        assert (await world.use_cases.create_user(command, actor(admin))).id != user.id

    async def test_what_was_the_accounts_goes_by_a_job(self, world: World, admin: User) -> None:
        user = world.add_user()
        world.add_task(user.id)
        await world.use_cases.delete_user(UserDeletion(user.id), actor(admin, "request-1"))
        (job,) = world.jobs()
        assert (job.kind, job.request_id) == (JobKind.CLEAN_USERS, "request-1")
        assert list(world.queue.hints) == [job.id]
        assert len(world.store.tasks) == 1
        await world.use_cases.run_job(job.id)
        assert world.store.tasks == {}
        assert world.store.users.keys() == {admin.id}
        assert world.store.ledger[job.id].state is JobState.DONE

    async def test_it_minds_the_version(self, world: World, admin: User) -> None:
        user = world.add_user()
        with pytest.raises(VersionMismatch):
            await world.use_cases.delete_user(UserDeletion(user.id, version=2), actor(admin))
        assert world.store.users[user.id] == user

    async def test_the_purge_takes_all_that_was_the_accounts(
        self, world: World, admin: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delete, "PURGE_STEP", 3)
        user, other = world.add_user(), world.add_user()
        for n in range(10):
            world.add_task(user.id, deleted_at=NOW if n % 2 else None)
        kept = world.add_task(other.id)
        await world.use_cases.delete_user(UserDeletion(user.id), actor(admin))
        assert await world.use_cases.purge_users(actor(admin)) == 10 + 1
        assert world.store.tasks.keys() == world.store.history.keys() == {kept.id}
        assert world.store.users.keys() == {admin.id, other.id}
        assert await world.use_cases.purge_users(actor(admin)) == 0

    async def test_what_it_did_to_others_stays_told(self, world: World, admin: User) -> None:
        manager, owner = world.add_user(Role.MANAGER), world.add_user()
        task = world.add_task(owner.id)
        await world.use_cases.purge_users(OPERATOR)
        entry = replace(world.history(task.id)[0], actor_id=manager.id, action=Action.UPDATED)
        world.history(task.id).append(entry)
        await world.use_cases.delete_user(UserDeletion(manager.id), actor(admin))
        await world.use_cases.purge_users(actor(admin))
        assert world.history(task.id)[-1].actor_id == manager.id


class TestQuestions:
    async def test_one_finds_oneself(self, world: World) -> None:
        user = world.add_user()
        assert await world.use_cases.find_user(user.id, actor(user)) == UserView.of(user)

    async def test_a_list_has_pages(self, world: World, admin: User) -> None:
        users = [admin, *(world.add_user() for _ in range(4))]
        first = await world.use_cases.list_users(UserQuery(limit=3), actor(admin))
        rest = await world.use_cases.list_users(UserQuery(limit=3, after=first.next), actor(admin))
        assert [user.id for user in (*first.items, *rest.items)] == [user.id for user in reversed(users)]
        assert first.next is not None
        assert (first.next.as_of, rest.next) == (NOW, None)

    async def test_the_tasks_of_a_new_account_are_none(self, world: World, admin: User) -> None:
        user = world.add_user()
        assert (await world.use_cases.list_tasks(TaskQuery(owner=user.id), actor(admin))).items == ()
