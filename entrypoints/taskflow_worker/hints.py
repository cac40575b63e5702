"""RQ's side of a worker: takes hints out of the queue, and believes nothing else that stands in Redis.

What RQ keeps for jobs that matter (who does what, what failed, results) is left out: a hint that is lost
is given again by the scheduler, and all the rest stands in the ledger. So a hint costs three trips to Redis:
out of the queue, what it says, and away with it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, DeserializationError, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker.base import WorkerStatus
from rq.worker_registration import clean_worker_registry

from taskflow_worker.handlers import run

log: Final = structlog.get_logger("taskflow_worker")

DEQUEUE_SECONDS: Final = 1
"""How long one waits for a hint before looking around: whether it is to stop, whether Redis is there."""
ANSWER_SECONDS: Final = DEQUEUE_SECONDS + 2
"""What does not answer for so long is away."""
HEARTBEAT_SECONDS: Final = 10.0
WORKER_TTL_SECONDS: Final = 60
MAINTENANCE_SECONDS: Final = 60
REFUSED_SECONDS: Final = 10.0
"""Refused hints are told of once in so long."""
CALL_BYTES: Final = 4096
"""The longest call that is looked at; a hint has some hundred bytes."""

ALLOWED: Final[Mapping[str, Callable[[str], None]]] = {"taskflow_worker.handlers.run": run}


class RefusedError(ValueError):
    """What stands in the queue is no hint of ours."""


class HintJob(Job):
    """A job that calls nothing but what is allowed, with one text, whatever Redis says.

    It takes over from Redis only what is to be called: no callbacks, webhooks, repeats or dependents.
    """

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:
        """Return the job; what cannot be one is not there."""
        try:
            return super().fetch(id, connection, serializer)
        except (TypeError, ValueError) as error:
            raise NoSuchJobError(f"No job can have this id: {id!r:.80}") from error

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Take over the call alone, up to `CALL_BYTES` of it."""
        packed = raw_data.get(b"data", b"")
        try:
            self.data = zlib.decompressobj().decompress(packed, CALL_BYTES)
        except zlib.error:
            self.data = packed[:CALL_BYTES]

    def perform(self) -> None:
        """Call what it names.

        Raises:
            RefusedError: That is not allowed.
        """
        try:
            called = (self.func_name, self.instance, self.args, self.kwargs)
        except DeserializationError as error:
            raise RefusedError("It is not the JSON of a call.") from error
        match called:
            case (str(name), None, [str(text)], {**named}) if name in ALLOWED and not named:
                ALLOWED[name](text)
            case (name, *_):
                raise RefusedError(f"It calls {name!r:.80} in another way than is allowed.")


class HintQueue(Queue):
    """A queue that hands each hint out once, and keeps none aside meanwhile."""

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> Any:
        """Take the next one out for good."""
        return cls.lpop([queue_key], timeout, connection=connection)


class NoDeathPenalty(BaseDeathPenalty):
    """Time limits are kept in the event loop: a signal would hit whatever runs just then."""

    def setup_death_penalty(self) -> None:
        """Set nothing up."""

    def cancel_death_penalty(self) -> None:
        """Cancel nothing."""


class HintWorker(SimpleWorker):
    """RQ's worker in a thread of a process that is not its own.

    Attributes:
        failure: What of Redis ended `work`, if that did.

    Args:
        queue_name: Where hints come from.
        connection: Its own.
        stopped: Ends `work`.
        on_listening: Called whenever the queue could be asked.
    """

    job_class = HintJob
    queue_class = HintQueue
    death_penalty_class = NoDeathPenalty

    def __init__(
        self, queue_name: str, connection: Redis, *, stopped: Event, on_listening: Callable[[], None]
    ) -> None:
        self.failure: Exception | None = None
        self._stopped = stopped
        self._on_listening = on_listening
        self._heartbeat_at = 0.0
        self._refused = 0
        self._tell_refused_at = 0.0
        super().__init__(
            [queue_name],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_SECONDS,
            maintenance_interval=MAINTENANCE_SECONDS,
        )

    @property
    def dequeue_timeout(self) -> int:
        """Seconds."""
        return DEQUEUE_SECONDS

    @property
    def connection_timeout(self) -> int:
        """Seconds."""
        return ANSWER_SECONDS

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002 - RQ's
    ) -> tuple[Job, Queue]:
        """Return the next hint, unless it is to stop."""
        self.set_state(WorkerStatus.IDLE)
        while not self._stopped.is_set():
            self.heartbeat()
            if self.should_run_maintenance_tasks:
                self.run_maintenance_tasks()
            with self._ending_on_failure():
                found = self._dequeue(timeout)
            self._on_listening()
            if found is not None:
                return found
        raise StopRequested

    def _dequeue(self, timeout: int | None) -> tuple[Job, Queue] | None:
        try:
            return self.queue_class.dequeue_any(
                self._ordered_queues,
                timeout,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None
        except ValueError as error:
            self._refuse(error)
            return None

    def execute_job(self, job: Job, queue: Queue) -> None:  # noqa: ARG002 - RQ's
        """Take the hint out of Redis, then follow it."""
        if self._stopped.is_set():
            raise StopRequested
        with self._ending_on_failure():
            self.connection.delete(job.key)
        try:
            job.perform()
        except ValueError as error:
            self._refuse(error)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell others that it lives, not with each hint."""
        now = time.monotonic()
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + HEARTBEAT_SECONDS
            with self._ending_on_failure():
                super().heartbeat(timeout, pipeline)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Tell others what it does, where that is news."""
        if state != self.get_state():
            with self._ending_on_failure():
                super().set_state(state, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Forget workers that died; RQ's registries, which may hold anything, are none of ours."""
        with self._ending_on_failure():
            for queue in self.queues:
                clean_worker_registry(queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ's annotation knows its first value only

    def teardown(self) -> None:
        """Tell others that it ends, if Redis can be told."""
        with suppress(RedisError, OSError):
            super().teardown()  # type: ignore[no-untyped-call]

    @contextmanager
    def _ending_on_failure(self) -> Iterator[None]:
        """End `work` when Redis fails, without the stack that RQ would log: that is no fault of ours."""
        try:
            yield
        except (RedisError, OSError) as error:
            self.failure = error
            raise StopRequested from error

    def _refuse(self, error: ValueError) -> None:
        self._refused += 1
        if time.monotonic() >= self._tell_refused_at:
            self._tell_refused_at = time.monotonic() + REFUSED_SECONDS
            log.warning("hint refused", because=str(error), count=self._refused)
            self._refused = 0

    def _install_signal_handlers(self) -> None:
        """Leave the process's as they are."""

    def check_for_suspension(self, burst: bool) -> None:
        """Go on: without hints the jobs would be done too, only later."""

    def subscribe(self) -> None:
        """Take no commands from Redis."""

    def procline(self, message: str) -> None:
        """Leave the process's name as it is."""

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002 - RQ's
        self.ip_address = "unknown"
