"""TaskFlow's core alone, in memory: `pip install taskflow-core` is enough, nothing else runs.

Run it: python examples/embed_memory.py
"""

import asyncio

from taskflow_core import Actor, CreateTask, ListTasks, NewTask, NewUser, NoticeKind, TaskQuery, UseCases
from taskflow_memory import (
    MemoryClaims,
    MemoryCommonPasswords,
    MemoryIdentities,
    MemoryLedgerReads,
    MemoryLoginAttempts,
    MemoryNotifier,
    MemoryPasswords,
    MemoryQueue,
    MemoryReads,
    MemoryRefreshTokens,
    MemorySessionReads,
    MemoryStore,
    MemoryTokens,
    MemoryTransactions,
)
from taskflow_system import SystemChance, SystemClock, Uuid7


async def main() -> None:
    """Make an account and a task, find the task again, and have somebody told of it."""
    store, clock, ids, queue, notifier = (
        MemoryStore(),
        SystemClock(),
        Uuid7(),
        MemoryQueue(),
        MemoryNotifier(),
    )
    transactions, reads = MemoryTransactions(store, queue), MemoryReads(store)
    everything = UseCases.over(
        transactions=transactions, task_reads=reads, user_reads=reads,
        session_reads=MemorySessionReads(store), identities=MemoryIdentities(store),
        attempts=MemoryLoginAttempts(store), passwords=MemoryPasswords(), common=MemoryCommonPasswords(),
        tokens=MemoryTokens(), refresh_tokens=MemoryRefreshTokens(), clock=clock, ids=ids,
        claims=MemoryClaims(store), ledger_reads=MemoryLedgerReads(store), queue=queue, notifier=notifier,
        chance=SystemChance(),
    )  # fmt: skip
    new = NewUser(email="ada@example.com", name="Ada", password="as long as eight")  # noqa: S106 an example
    ada = await everything.create_user(new, Actor.operator())
    me = Actor.of(ada.id, ada.role)

    # Or only the use cases that one needs:
    create, find = CreateTask(transactions, clock, ids), ListTasks(reads, clock)
    await create(NewTask(title="Write the first note", description="About the Analytical Engine"), me)
    page = await find(TaskQuery(owner=ada.id, search="ENGINE"), me)
    print([task.title for task in page.items])
    assert [task.title for task in page.items] == ["Write the first note"]

    # A task that becomes somebody else's is a job, which is done by whoever runs jobs:
    await everything.create_task(NewTask(title="Read the first note", user_id=ada.id), Actor.operator())
    while await everything.run_job():
        pass
    print([notice.facts["title"] for notice in notifier.sent])
    assert [notice.kind for notice in notifier.sent] == [NoticeKind.TASK_ASSIGNED]


if __name__ == "__main__":
    asyncio.run(main())
