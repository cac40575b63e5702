// What @hey-api/openapi-ts made of the document. Run with the server's URL.
import assert from "node:assert/strict";
import { client } from "./hey/client.gen.js";
import { changeTask, changeTasks, createTask, listTasks, logIn } from "./hey/index.js";

client.setConfig({ baseUrl: process.argv[2]! });

const signedIn = await logIn({ body: { email: "user@example.com", password: "user123" } });
assert.ok(signedIn.data);
client.setConfig({ auth: signedIn.data.access_token });

const title = `hey-api ${crypto.randomUUID()}`;
const created = await createTask({ body: { title } });
assert.equal(created.response?.status, 201);
assert.ok(created.data);
assert.deepEqual([created.data.title, created.data.status, created.data.priority], [title, "PENDING", "MEDIUM"]);

const listed = await listTasks({
  query: { search: title, status: ["PENDING", "COMPLETED"], overdue: false, sort: "-priority", limit: 5 },
});
assert.deepEqual(listed.data, { data: [created.data], nextCursor: null });
const closed = await listTasks({ query: { search: title, status: ["COMPLETED", "CANCELLED"] } });
assert.deepEqual(closed.data?.data, []);

const path = { id: created.data.id };
const dated = await changeTask({
  path,
  headers: { "If-Match": '"1"' },
  body: { dueDate: "2030-01-31T17:00:00+01:00", description: "one" },
});
assert.equal(dated.data?.dueDate, "2030-01-31T16:00:00Z");
const cleared = await changeTask({ path, body: { dueDate: null } });
assert.deepEqual([cleared.data?.dueDate, cleared.data?.description], [null, "one"]);

const tasks = [created.data.id, { id: crypto.randomUUID(), version: 1 }];
const changed = await changeTasks({
  body: { action: "update", tasks, set: { priority: "LOW" }, mode: "partial" },
});
assert.deepEqual([changed.data?.succeeded, changed.data?.failed], [1, 1]);
assert.equal(changed.data?.results[1]?.problem?.code, "not_found");
const completed = await changeTasks({ body: { action: "complete", tasks: [created.data.id] } });
assert.equal(completed.data?.results[0]?.status, "ok");

// @ts-expect-error Only an update has changes.
const refused = await changeTasks({ body: { action: "delete", tasks, set: { title } } });
assert.equal(refused.error?.errors?.[0]?.pointer, "/set");
// @ts-expect-error An update must have changes.
const empty = await changeTasks({ body: { action: "update", tasks } });
assert.equal(empty.error?.code, "invalid");
