"""What a plain install lacks, said in a sentence where a package of ours that needs more is imported."""

from __future__ import annotations

from importlib.util import find_spec


def require_server(*modules: str) -> None:
    """Raise `ModuleNotFoundError` that names the extra where one of these third-party modules is missing."""
    for name in modules:
        if find_spec(name) is None:
            raise ModuleNotFoundError(
                f"No module named {name!r}. The plain install of taskflow-core has taskflow_core and "
                "taskflow_memory only; for everything else: pip install 'taskflow-core[server]'",
                name=name,
            )
