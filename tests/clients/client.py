"""Logs in, creates a task and lists tasks with http.client, on one connection."""

import http.client
import json
import sys
from typing import Any
from urllib.parse import urlsplit

base, email, password = sys.argv[1:]
connection = http.client.HTTPConnection(urlsplit(base).netloc)


def send(method: str, path: str, token: str | None, body: object = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read()
    if response.status >= 300:
        raise SystemExit(f"{response.status} {text!r}")
    return json.loads(text)


access = send("POST", "/auth/login", None, {"email": email, "password": password})["access_token"]
send("POST", "/tasks", access, {"title": "made by a client"})
sys.stdout.write(json.dumps(send("GET", "/tasks", access)))
