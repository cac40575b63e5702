"""TaskFlow inside a host's SQLAlchemy transaction: an order and the task to pack it, both or neither.

Run it on a database of yours (it makes TaskFlow's tables and one called `orders`):
    python examples/embed_sqlalchemy.py postgresql://user:password@host/database
"""

import asyncio
import sys
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from taskflow_bootstrap.embedded import embed
from taskflow_core import Actor, NewTask, NewUser, NotFound, TaskQuery
from taskflow_sqlalchemy import driver_url, migrate


async def main(url: str) -> None:
    """Take an order that is kept, and one that fails."""
    await migrate(url)
    engine = create_async_engine(driver_url(url))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS orders (id uuid PRIMARY KEY, item text)"))
        new = NewUser(email=f"packer-{uuid4()}@example.com", name="Packer", password=f"{uuid4()}")
        packer = await embed(connection).create_user(new, Actor.operator())
    me = Actor.of(packer.id, packer.role)

    async def take_order(item: str) -> None:
        async with engine.begin() as connection:  # the host's transaction: it alone commits or rolls back
            await connection.execute(
                text("INSERT INTO orders VALUES (:id, :item)"), {"id": uuid4(), "item": item}
            )
            taskflow = embed(connection)
            await taskflow.create_task(NewTask(title=f"Pack {item}"), me)
            try:  # a use case that fails takes back its own part only
                await taskflow.find_task(uuid4(), me)
            except NotFound:
                print("there is no such task, and the order goes on")
            if item == "the moon":
                raise ValueError("We do not sell that.")
        # Wakes a worker for what was caused, where `embed` got a queue (see own_job.py); without any of this
        # the scheduler does, seconds later.
        await taskflow.after_commit()

    await take_order("a telescope")
    try:
        await take_order("the moon")
    except ValueError as error:
        print(error)

    async with engine.begin() as connection:
        page = await embed(connection).list_tasks(TaskQuery(owner=packer.id), me)
        orders = (await connection.execute(text("SELECT item FROM orders ORDER BY item"))).scalars().all()
    print("tasks:", [task.title for task in page.items], "orders:", orders)
    assert [task.title for task in page.items] == ["Pack a telescope"]
    assert "the moon" not in orders
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
