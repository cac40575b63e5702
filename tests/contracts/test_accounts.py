"""The emails of accounts, and accounts that are deleted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.persistence import Persistence
from support.samples import NOW, entry_of, new_id, new_task, new_user
from taskflow_core import (
    EmailTaken,
    JobKind,
    Origin,
    UserQuery,
    UserView,
)

LATER = NOW + timedelta(hours=1)


class TestEmails:
    async def test_a_live_account_keeps_its_email(self, persistence: Persistence) -> None:
        first = await persistence.new_user()
        second, bystander = new_user(email=first.email), new_user()
        with pytest.raises(EmailTaken):
            await persistence.add_users(bystander, second)
        assert await persistence.user(second.id) is None
        assert await persistence.user(bystander.id) is None

    async def test_they_are_found_by_ids(self, persistence: Persistence) -> None:
        ada, bob, other = new_user(), new_user(), new_user()
        await persistence.add_users(ada, bob, other)
        await persistence.mark_deleted(bob.id)
        assert await persistence.user_reads.emails({ada.id, bob.id, new_id()}) == {ada.id: ada.email}
        assert await persistence.user_reads.emails([]) == {}

    async def test_two_in_one_unit_cannot_share_one(self, persistence: Persistence) -> None:
        twins = [new_user(email="same@example.com") for _ in range(2)]
        with pytest.raises(EmailTaken):
            await persistence.add_users(*twins)
        assert [await persistence.user(twin.id) for twin in twins] == [None, None]

    async def test_an_account_cannot_take_anothers(self, persistence: Persistence) -> None:
        first, second = await persistence.new_user(), await persistence.new_user()

        async def take() -> None:
            async with persistence.transactions() as unit:
                user = await unit.users.load(second.id)
                assert user is not None
                user.email = first.email
                unit.users.save(user)
                await unit.commit()

        with pytest.raises(EmailTaken):
            await take()
        assert await persistence.user(second.id) == second

    async def test_an_account_may_be_saved_with_its_own(self, persistence: Persistence) -> None:
        user = await persistence.new_user()
        async with persistence.transactions() as unit:
            loaded = await unit.users.load(user.id)
            assert loaded is not None
            loaded.name = "Another"
            unit.users.save(loaded)
            await unit.commit()
        assert await persistence.user(user.id) == replace(user, name="Another")

    async def test_that_of_a_deleted_account_is_free(self, persistence: Persistence) -> None:
        first = await persistence.new_user()
        for _ in range(2):  # more than one deleted account may have had it
            await persistence.mark_deleted(first.id)
            second = await persistence.new_user(email=first.email)
            found = await persistence.user_reads.credentials(first.email, Origin())
            assert found is not None
            assert found.user == UserView.of(second)
            first = second


class TestDeletedAccounts:
    async def test_they_are_in_no_answer(self, persistence: Persistence) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        await persistence.mark_deleted(gone.id)
        assert await persistence.user(gone.id) is None
        assert await persistence.user_reads.user(gone.id) is None
        assert await persistence.user_reads.credentials(gone.email, Origin()) is None
        for query in (UserQuery(), UserQuery(active=False), UserQuery(search=gone.email)):
            page = await persistence.user_reads.users(query, NOW)
            assert [user.id for user in page.items] == ([stays.id] if query == UserQuery() else [])

    async def test_their_tasks_cannot_be_worked_with(self, persistence: Persistence) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        theirs, another = await persistence.new_task(gone.id), await persistence.new_task(stays.id)
        await persistence.mark_deleted(gone.id)
        async with persistence.transactions() as unit:
            assert await unit.tasks.load([theirs.id, another.id]) == {another.id: another}

    async def test_they_are_purged_in_steps(self, persistence: Persistence) -> None:
        gone, stays = await persistence.new_user(), await persistence.new_user()
        await persistence.add_tasks(*(new_task(gone.id, title=f"{n}") for n in range(7)))
        kept = new_task(stays.id)
        async with persistence.transactions() as unit:
            unit.tasks.add(kept, entry_of(kept, actor_id=gone.id))
            await unit.commit()
        assert await persistence.purge() == 0
        await persistence.mark_deleted(gone.id)
        steps = [await persistence.purge(limit=3)]
        while steps[-1]:
            steps.append(await persistence.purge(limit=3))
        assert steps[:2] == [3, 3]
        assert sum(steps) == 7 + 1
        assert (await persistence.task_reads.stats(None, NOW)).total == 1
        assert await persistence.task(kept.id) == kept
        assert [entry.actor_id for entry in await persistence.history(kept.id)] == [gone.id]

    async def test_deleted_tasks_and_accounts_without_tasks_go_too(self, persistence: Persistence) -> None:
        people = [await persistence.new_user() for _ in range(3)]
        task = await persistence.new_task(people[0].id, deleted_at=NOW)
        for person in people:
            await persistence.mark_deleted(person.id)
        assert await persistence.purge_all() == 1 + 3
        assert await persistence.task(task.id) is None

    async def test_a_step_is_never_larger_than_asked_for(self, persistence: Persistence) -> None:
        people = [await persistence.new_user() for _ in range(6)]
        await persistence.add_tasks(*(new_task(people[0].id) for _ in range(4)))
        for person in people:
            await persistence.mark_deleted(person.id)
        steps = [await persistence.purge(limit=3) for _ in range(5)]
        assert max(steps) == 3
        assert (sum(steps), steps[-1]) == (4 + 6, 0)

    async def test_a_purge_without_commit_removes_nothing(self, persistence: Persistence) -> None:
        gone = await persistence.new_user()
        await persistence.new_task(gone.id)
        await persistence.mark_deleted(gone.id)
        async with persistence.transactions() as unit:
            assert await unit.upkeep.remove(JobKind.CLEAN_USERS, limit=10) > 0
        assert await persistence.purge_all() == 1 + 1
