"""What the doctor says of settings alone; what it says of servers stands with the CLI's tests."""

from pathlib import Path

import pytest

from taskflow_bootstrap.doctor import Level, examine
from taskflow_bootstrap.settings import Settings


@pytest.mark.parametrize(
    ("networks", "warned"),
    [((), False), (("10.0.0.0/8",), False), (("10.0.0.0/8", "0.0.0.0/0"), True), (("::/0",), True)],
)
async def test_proxies_that_are_everybody(networks: tuple[str, ...], warned: bool, tmp_path: Path) -> None:
    findings = examine(Settings(trusted_proxies=networks), environ={}, env_file=tmp_path / ".env")
    found = [finding async for finding in findings if finding.check == "proxies"]
    assert [finding.level for finding in found] == [Level.WARN] * warned
