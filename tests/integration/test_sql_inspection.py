"""What the doctor is told of a database."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from taskflow_sqlalchemy import inspect


async def test_of_clocks_that_agree_no_slow_answer_makes_two(database_url: str) -> None:
    assert (await inspect(database_url)).clock_skew_seconds == 0


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_a_clock_that_is_wrong_is_seen(database_url: str, ahead: timedelta) -> None:
    with time_machine.travel(datetime.now(UTC) + ahead, tick=True):
        report = await inspect(database_url)
    # Less by what passed between the two readings at the most.
    assert report.clock_skew_seconds / ahead.total_seconds() == pytest.approx(1, abs=0.02)
