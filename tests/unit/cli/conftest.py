"""The CLI over a TaskFlow in memory."""

import pytest

from support.cli import Cli
from support.samples import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def taskflow(world: World) -> Cli:
    return Cli(world)
