// What openapi-typescript made of the document, used by openapi-fetch. Run with the server's URL.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2]! });

const signedIn = await client.POST("/auth/login", {
  body: { email: "user@example.com", password: "user123" },
});
assert.ok(signedIn.data);
client.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${signedIn.data.access_token}`);
  },
});

const title = `openapi-fetch ${crypto.randomUUID()}`;
const created = await client.POST("/tasks", { body: { title } });
assert.equal(created.response.status, 201);
assert.ok(created.data);
const priority: components["schemas"]["Priority"] = created.data.priority;
assert.deepEqual([created.data.title, created.data.status, priority], [title, "PENDING", "MEDIUM"]);

const query: paths["/tasks"]["get"]["parameters"]["query"] = {
  search: title, status: ["PENDING", "COMPLETED"], overdue: false, sort: "-priority", limit: 5,
};
const listed = await client.GET("/tasks", { params: { query } });
assert.deepEqual(listed.data, { data: [created.data], nextCursor: null });
const closed = await client.GET("/tasks", { params: { query: { search: title, status: ["COMPLETED", "CANCELLED"] } } });
assert.deepEqual(closed.data?.data, []);

const path = { id: created.data.id };
const dated = await client.PATCH("/tasks/{id}", {
  params: { path, header: { "If-Match": '"1"' } },
  body: { dueDate: "2030-01-31T17:00:00+01:00", description: "one" },
});
assert.equal(dated.data?.dueDate, "2030-01-31T16:00:00Z");
const cleared = await client.PATCH("/tasks/{id}", { params: { path }, body: { dueDate: null } });
assert.deepEqual([cleared.data?.dueDate, cleared.data?.description], [null, "one"]);

const tasks = [created.data.id, { id: crypto.randomUUID(), version: 1 }];
const changed = await client.POST("/tasks/batch", {
  body: { action: "update", tasks, set: { priority: "LOW" }, mode: "partial" },
});
assert.deepEqual([changed.data?.succeeded, changed.data?.failed], [1, 1]);
assert.equal(changed.data?.results[1]?.problem?.code, "not_found");
const completed = await client.POST("/tasks/batch", { body: { action: "complete", tasks: [created.data.id] } });
assert.equal(completed.data?.results[0]?.status, "ok");

// @ts-expect-error Only an update has changes.
const refused = await client.POST("/tasks/batch", { body: { action: "delete", tasks, set: { title } } });
assert.equal(refused.error?.errors?.[0]?.pointer, "/set");
// @ts-expect-error An update must have changes.
const empty = await client.POST("/tasks/batch", { body: { action: "update", tasks } });
assert.equal(empty.error?.code, "invalid");
