"""The passwords that are tried first, from the frequency lists of the package zxcvbn."""

from __future__ import annotations

import os
import threading
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from taskflow_core.users import PASSWORD_MIN

if TYPE_CHECKING:
    from collections.abc import Iterable

_OWN: Final = ("taskflow",)
"""NIST SP 800-63B section 3.1.1.2: the name of the service is one too."""


class ZxcvbnPasswords:
    """Knows some 41,000 passwords, words and names of 8 characters or more (port `CommonPasswords`).

    They are loaded at the first question, which takes some 20 ms, and 4 MB for good; `load` does it before.

    Args:
        more: Others that are refused too: demo passwords, the name of the installation.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._more = frozenset(_stem(word) for word in (*_OWN, *more))
        self._known: frozenset[str] | None = None

    def __contains__(self, password: object) -> bool:
        """Return whether a password is a common one, in whatever letter case."""
        if not isinstance(password, str):
            return False
        known = self.load()
        folded = password.casefold()
        return folded in known or _stem(folded) in self._more

    def load(self) -> frozenset[str]:
        """Load the lists, unless they are there already; may be called from any thread."""
        with _loading:
            if self._known is None:
                self._known = _listed()
            return self._known


_loading: Final = threading.Lock()
# A child forked while another thread loads would wait for a thread that it does not have.
os.register_at_fork(
    before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release
)


def _stem(word: str) -> str:
    """Return a word without the digits and marks that people put behind it."""
    return word.casefold().rstrip("0123456789!?.,-_#*+@$% ") or word.casefold()


def _listed() -> frozenset[str]:
    lists: dict[str, Any] = _frequency_lists()
    words = (word.casefold() for each in lists.values() for word in _words(each))
    return frozenset(word for word in words if len(word) >= PASSWORD_MIN)


def _words(words: str | Iterable[str]) -> Iterable[str]:
    return words.split(",") if isinstance(words, str) else words


def _frequency_lists() -> dict[str, Any]:
    """Return the lists alone: an import of the package takes 90 ms and keeps 19 MB."""
    package = find_spec("zxcvbn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'zxcvbn'", name="zxcvbn")
    path = Path(package.submodule_search_locations[0]) / "frequency_lists.py"
    spec = spec_from_file_location("taskflow_security._frequency_lists", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("No module named 'zxcvbn.frequency_lists'", name="zxcvbn.frequency_lists")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    lists: dict[str, Any] = module.FREQUENCY_LISTS
    return lists
