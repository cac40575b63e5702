"""What the doctor says of settings alone; what it says of servers stands with the CLI's tests."""

from datetime import timedelta
from pathlib import Path

import pytest

from support.samples import NOW
from taskflow_bootstrap.doctor import Level, examine, jobs_finding
from taskflow_bootstrap.settings import Settings
from taskflow_core import JobStats, KindStats


@pytest.mark.parametrize(
    ("networks", "warned"),
    [((), False), (("10.0.0.0/8",), False), (("10.0.0.0/8", "0.0.0.0/0"), True), (("::/0",), True)],
)
async def test_proxies_that_are_everybody(networks: tuple[str, ...], warned: bool, tmp_path: Path) -> None:
    findings = examine(Settings(trusted_proxies=networks), environ={}, env_file=tmp_path / ".env")
    found = [finding async for finding in findings if finding.check == "proxies"]
    assert [finding.level for finding in found] == [Level.WARN] * warned


@pytest.mark.parametrize(
    ("kinds", "level", "words"),
    [
        ((), Level.OK, "0 due; 0 dead"),
        (
            (KindStats("a", 2, 9, 1, 0, NOW - timedelta(seconds=3)),),
            Level.OK,
            "2 due, the oldest for 3 s; 0 dead",
        ),
        # A database's clock may be a little ahead.
        ((KindStats("a", 1, 0, 0, 0, NOW + timedelta(seconds=3)),), Level.OK, "1 due, the oldest for 0 s"),
        (
            (KindStats("a", 1, 0, 0, 0, NOW), KindStats("b", 2, 0, 0, 0, NOW - timedelta(seconds=61))),
            Level.WARN,
            "3 due, the oldest for 61 s",
        ),
        ((KindStats("a", 0, 0, 0, 2, None), KindStats("b", 0, 0, 0, 1, None)), Level.WARN, "0 due; 3 dead"),
    ],
)
def test_jobs_that_wait_for_nobody_or_are_dead(
    kinds: tuple[KindStats, ...], level: Level, words: str
) -> None:
    finding = jobs_finding(JobStats(kinds), NOW)
    assert (finding.level, words in finding.detail) == (level, True)
    assert bool(finding.advice) == (level is Level.WARN)
