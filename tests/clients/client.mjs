// Logs in, creates a task and lists tasks with fetch.
const [base, email, password] = process.argv.slice(2);

async function send(path, token, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const method = body ? "POST" : "GET";
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

const { access_token: token } = await send("/auth/login", null, { email, password });
await send("/tasks", token, { title: "made by a client" });
console.log(JSON.stringify(await send("/tasks", token)));
