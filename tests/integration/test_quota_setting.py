"""The quota of the settings holds for whoever opens TaskFlow."""

import pytest

from support.samples import OPERATOR, new_user
from taskflow_bootstrap.embedded import Settings, open_taskflow
from taskflow_core import NewTask, QuotaExceeded


async def test_a_quota_that_is_set_is_enforced_alone_and_inside_one_transaction(database_url: str) -> None:
    user = new_user()
    async with open_taskflow(Settings(database_url=database_url, quota_tasks=1)) as taskflow:
        async with taskflow.transactions() as unit:
            unit.users.add(user)
            await unit.commit()
        task = NewTask(title="A task", user_id=user.id)
        await taskflow.use_cases.create_task(task, OPERATOR)
        with pytest.raises(QuotaExceeded):
            await taskflow.use_cases.create_task(task, OPERATOR)
        with pytest.raises(QuotaExceeded):
            async with taskflow.together() as use_cases:
                await use_cases.create_task(task, OPERATOR)
