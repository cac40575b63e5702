"""What every test finds. Imports pytest and the standard library only, for the tests of the core alone."""

import asyncio
import inspect

import pytest

pytest_plugins = ["support.plugin"]


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test where pytest-asyncio is not installed (`nox -s core_only`).

    Where it is, it has already made the test a plain function, and this leaves it alone.
    """
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
