"""What the doctor says of settings alone; what it says of servers stands with the CLI's tests."""

from datetime import timedelta
from pathlib import Path

import pytest

from support.samples import NOW
from taskflow_bootstrap.doctor import SCANS, Level, examine, jobs_finding, scans_finding
from taskflow_bootstrap.settings import Settings
from taskflow_core import JobStats, KindStats, ScanStats


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


@pytest.mark.parametrize(
    ("late", "level", "words"),
    [
        ({}, Level.OK, "on time"),
        ({"overdue": 59}, Level.OK, "on time"),
        ({"overdue": 62, "clean_up": 61}, Level.WARN, "overdue has been due for 62 s"),
        ({"reconcile": None, "overdue": 62}, Level.FAIL, "no row in scans for reconcile"),
    ],
)
def test_schedulers_that_do_not_run(late: dict[str, int | None], level: Level, words: str) -> None:
    times = {name: late.get(name, -5) for name in SCANS}
    scans = (
        ScanStats(name, NOW - timedelta(seconds=after)) for name, after in times.items() if after is not None
    )
    finding = scans_finding(JobStats(scans=tuple(scans)), NOW)
    assert (finding.level, words in finding.detail) == (level, True)
    assert bool(finding.advice) == (level is not Level.OK)
