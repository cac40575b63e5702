"""The thread that listens for hints, and goes on trying to while Redis is away."""

from __future__ import annotations

import threading
from typing import Final

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from taskflow_worker.hints import ANSWER_SECONDS, HintWorker

log: Final = structlog.get_logger("taskflow_worker")

CONNECT_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 4.0
"""With the time to connect, hints are heard again some 5 s after Redis is back, at the latest."""


class Listener(threading.Thread):
    """Runs one RQ worker after the other: each ends when Redis fails it."""

    def __init__(self, redis_url: str, queue_name: str) -> None:
        """Connect to nothing yet; `start` does.

        Raises:
            ValueError: It is no URL of a Redis.
        """
        super().__init__(name="taskflow-hints", daemon=True)
        self._queue_name = queue_name
        self._ending = threading.Event()
        self._pause = FIRST_PAUSE_SECONDS
        self._is_away = False
        self._client = Redis.from_url(
            redis_url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def stop(self) -> None:
        """Have it end, `DEQUEUE_SECONDS` later or so; `join` waits for it."""
        self._ending.set()

    def run(self) -> None:
        """Listen until stopped."""
        while not self._ending.is_set():
            failure = self._listen()
            self._client.close()
            if self._ending.is_set():
                return
            self._note_away(failure)
            self._ending.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _listen(self) -> Exception | None:
        """Return what of Redis ended it; None for another reason, which RQ has logged."""
        try:
            worker = HintWorker(
                self._queue_name, self._client, stopped=self._ending, on_listening=self._note_back
            )
            worker.work(logging_level="ERROR")
        except (RedisError, OSError) as error:
            return error
        except Exception as error:
            log.exception("listening for hints failed")
            return error
        return worker.failure

    def _note_away(self, failure: Exception | None) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("no hints, Redis is away", error=type(failure).__name__ if failure else None)

    def _note_back(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS
        if self._is_away:
            self._is_away = False
            log.info("hints are heard again")
