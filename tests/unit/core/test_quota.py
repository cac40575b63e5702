import pytest

from taskflow_core.extras import require_server
from taskflow_core.quota import NO_QUOTA, Quota

QUOTA = Quota.of(2, 100)


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ((0, 0), (2, 100), False),
        ((2, 100), (3, 100), True),
        ((2, 100), (2, 101), True),
        # Lowered below what is used: growth alone is refused.
        ((5, 500), (5, 500), False),
        ((5, 500), (4, 400), False),
        ((5, 500), (4, 501), True),
    ],
)
def test_what_grows_beyond_the_quota_is_refused(
    before: tuple[int, int], after: tuple[int, int], refused: bool
) -> None:
    assert QUOTA.refuses(before, after) is refused
    assert not NO_QUOTA.refuses(before, after)


def test_zero_is_no_limit() -> None:
    assert Quota.of(0, 0) == NO_QUOTA
    assert not Quota.of(0, 100).refuses((0, 0), (10**9, 100))


def test_what_a_plain_install_lacks_is_named_with_its_extra() -> None:
    require_server("json")
    with pytest.raises(ModuleNotFoundError, match=r"taskflow-core\[server\]") as raised:
        require_server("json", "no_such_module")
    assert raised.value.name == "no_such_module"
