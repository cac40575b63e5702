"""Answers to requests with an `Idempotency-Key`."""

from __future__ import annotations

from typing import Any

import httpx

KEY = {"Idempotency-Key": "8e03978e-40d5"}


def kept(answer: httpx.Response) -> Any:
    """What of an answer is the same each time."""
    fields = ("content-type", "location", "etag", "cache-control", "content-length")
    return answer.status_code, answer.content, {name: answer.headers.get(name) for name in fields}


def is_replay(answer: httpx.Response) -> bool:
    told: str | None = answer.headers.get("idempotent-replayed")
    return told == "true"
