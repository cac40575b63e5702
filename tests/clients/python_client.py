"""What openapi-python-client made of the document, used. Run with the server's URL."""

import datetime as dt
import sys
import uuid

from task_flow_client import AuthenticatedClient, Client
from task_flow_client.api.auth import log_in
from task_flow_client.api.tasks import change_task, change_tasks, create_task, list_tasks
from task_flow_client.models import (
    BatchComplete,
    BatchDelete,
    BatchItem,
    BatchUpdate,
    BatchUpdateMode,
    ListTasksSort,
    Login,
    NewTask,
    Priority,
    Problem,
    Status,
    TaskPatch,
)

url = sys.argv[1]
signed_in = log_in.sync(client=Client(url), body=Login(email="user@example.com", password="user123"))
assert signed_in is not None
assert not isinstance(signed_in, Problem)
client = AuthenticatedClient(url, token=signed_in.access_token)

title = f"openapi-python-client {uuid.uuid4()}"
created = create_task.sync_detailed(client=client, body=NewTask(title=title))
task = created.parsed
assert created.status_code == 201
assert task is not None
assert not isinstance(task, Problem)
assert (task.title, task.status, task.priority) == (title, Status.PENDING, Priority.MEDIUM)

listed = list_tasks.sync(
    client=client,
    search=title,
    status=[Status.PENDING],
    overdue=False,
    sort=ListTasksSort.PRIORITY_DESCENDING,
    limit=5,
)
assert listed is not None
assert not isinstance(listed, Problem)
assert (listed.data, listed.next_cursor) == ([task], None)

several = list_tasks.sync(client=client, search=title, status=[Status.PENDING, Status.COMPLETED])
assert several is not None
assert not isinstance(several, Problem)
assert several.data == [task]

due = dt.datetime(2030, 1, 31, 16, tzinfo=dt.UTC)
dated = change_task.sync(
    task.id, client=client, body=TaskPatch(due_date=due, description="one"), if_match='"1"'
)
assert dated is not None
assert not isinstance(dated, Problem)
assert dated.due_date == due
cleared = change_task.sync(task.id, client=client, body=TaskPatch(due_date=None))
assert cleared is not None
assert not isinstance(cleared, Problem)
assert (cleared.due_date, cleared.description) == (None, "one")

tasks: list[BatchItem | uuid.UUID] = [task.id, BatchItem(id=uuid.uuid4(), version=1)]
changes = TaskPatch(priority=Priority.LOW)
update = BatchUpdate(action="update", tasks=tasks, set_=changes, mode=BatchUpdateMode.PARTIAL)
changed = change_tasks.sync(client=client, body=update)
assert changed is not None
assert not isinstance(changed, Problem)
assert (changed.succeeded, changed.failed) == (1, 1)
assert isinstance(changed.results[1].problem, Problem)
assert changed.results[1].problem.code == "not_found"
completed = change_tasks.sync(client=client, body=BatchComplete(action="complete", tasks=[task.id]))
assert completed is not None
assert not isinstance(completed, Problem)
assert completed.failed == 0

refused = change_tasks.sync(client=client, body=BatchDelete(action="delete", tasks=[]))
assert isinstance(refused, Problem)
assert refused.errors
assert refused.errors[0].pointer == "/tasks"
# Only an update has changes.
assert "set_" in BatchUpdate.__annotations__
assert "set_" not in BatchDelete.__annotations__ | BatchComplete.__annotations__
