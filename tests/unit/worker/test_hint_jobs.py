"""What a worker calls of what stands in Redis: one function, whatever is asked for."""

import json
import pickle
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer

from taskflow_worker.handlers import handing_to, run
from taskflow_worker.hints import CALL_BYTES, HintJob, RefusedError

RUN = "taskflow_worker.handlers.run"
ID = "01a1f86b-9ecd-720b-b035-c0fcb5093aa2"


@pytest.fixture
def taken() -> Iterator[list[UUID]]:
    hints: list[UUID] = []
    with handing_to(hints.append):
        yield hints


def job_of(data: bytes, **more: bytes) -> HintJob:
    """As Redis returns it; no server is asked."""
    job = HintJob("a-job", connection=Redis(), serializer=JSONSerializer)
    job.restore({b"data": data, **{name.encode(): value for name, value in more.items()}})
    return job


def call(name: Any, instance: Any = None, args: Any = (), kwargs: Any = None) -> bytes:
    return json.dumps([name, instance, args, kwargs or {}]).encode()


@pytest.mark.parametrize("pack", [zlib.compress, bytes])
def test_a_hint_is_handed_over(pack: Any, taken: list[UUID]) -> None:
    entry = uuid4()
    job_of(pack(call(RUN, args=[str(entry)]))).perform()
    assert taken == [entry]


class Exploding:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize(
    "data",
    [
        call("os.system", args=["exit"]),
        call("builtins.exec", args=["raise SystemExit"]),
        call("taskflow_worker.handlers.handing_to", args=["x"]),
        call("run", instance="taskflow_worker.handlers", args=[ID]),
        call(RUN, instance={"an": "object"}, args=[ID]),
        call(RUN, args=[]),
        call(RUN, args=[ID, "more"]),
        call(RUN, args=[5]),
        call(RUN, args=["no id"]),
        call(RUN, args=[ID], kwargs={"job_id": "x"}),
        call(RUN, args={"job_id": ID}),
        call([RUN]),
        call(None),
        b"",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 4000,
        b"[" * 10**6,
        zlib.compress(call(RUN, args=["x" * 10**7])),
        zlib.compress(call(RUN, args=[ID]))[:-9],
        pickle.dumps((RUN, None, (ID,), {})),
        pickle.dumps(Exploding()),
    ],
)
def test_anything_else_is_refused(data: bytes, taken: list[UUID]) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - RefusedError, or an id that is none
        job_of(data).perform()
    assert len(str(refused.value)) < 200
    assert taken == []


def test_what_is_packed_does_not_fill_the_memory() -> None:
    job = job_of(zlib.compress(b"x" * 10**8))
    assert len(job.data) == CALL_BYTES


def test_nothing_but_the_call_is_taken_over() -> None:
    job = job_of(
        call(RUN, args=[ID]),
        success_callback_name=b"os.abort",
        failure_callback_name=b"os.abort",
        stopped_callback_name=b"os.abort",
        webhooks=b'[{"url": "http://127.0.0.1:1", "event": "finished"}]',
        retries_left=b"99",
        repeats_left=b"99",
        dependency_ids=b'["x"]',
        status=b"nonsense",
        meta=b"\xff",
    )
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)
    assert (job.webhooks, job.retries_left, job.repeats_left) == ([], None, None)


def test_an_id_that_can_be_none_is_not_there() -> None:
    with pytest.raises(NoSuchJobError):
        HintJob.fetch("no such id: *", connection=Redis(), serializer=JSONSerializer)


def test_refused_is_a_fault_of_the_value() -> None:
    assert issubclass(RefusedError, ValueError)


def test_without_a_worker_in_the_process_the_function_says_who_does_it() -> None:
    with pytest.raises(RuntimeError, match="taskflow worker"):
        run(str(uuid4()))


def test_there_is_one_worker_a_process(taken: list[UUID]) -> None:
    with pytest.raises(RuntimeError, match="already"), handing_to(lambda _: None):
        pass
    entry = uuid4()
    run(str(entry))
    assert taken == [entry]
