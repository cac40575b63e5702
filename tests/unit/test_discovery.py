"""Which files in the working directory and above it decide about the database."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskflow_bootstrap.discovery import find
from taskflow_bootstrap.errors import SettingsError, StartError
from taskflow_bootstrap.settings import Settings, load_settings
from taskflow_embedded import DataDirectory

STRANGER = 54321
PUBLISHED = {"databaseUrl": "postgresql://x/y", "redisUrl": "redis://x", "jwtSecret": "s" * 40}
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SUDO_UID", raising=False)
    return tmp_path


@pytest.fixture
def home(project: Path) -> Iterator[Path]:
    """A directory that a living process holds and has published in, in a parent of the working directory."""
    with DataDirectory(project / ".taskflow") as held:
        held.publish(PUBLISHED)
        yield held.path


def test_a_running_dev_in_a_parent_is_found(home: Path) -> None:
    found = find(Settings(), None)
    assert found.data_dir == home
    assert (found.settings.database_url, found.settings.jwt_secret) == ("postgresql://x/y", ("s" * 40,))


@pytest.mark.usefixtures("project")
def test_without_any_it_is_the_settings_that_are_missing() -> None:
    with pytest.raises(SettingsError, match="TASKFLOW_DATABASE_URL is not set"):
        find(Settings(), None)


@only_root
def test_a_strangers_directory_is_not_believed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(home, STRANGER, STRANGER)
    with pytest.raises(StartError, match=f"belongs to user {STRANGER}, not to you"):
        find(Settings(), None)
    # Root names whichever it wants; and who runs sudo finds one's own.
    assert find(Settings(), home).data_dir == home
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert find(Settings(), None).data_dir == home


@only_root
def test_a_strangers_link_is_not_followed(home: Path, project: Path) -> None:
    link = project / "a" / ".taskflow"
    link.symlink_to(home)
    assert find(Settings(), None).data_dir == link
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(StartError, match=f"belongs to user {STRANGER}"):
        find(Settings(), None)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_may_write_to_is_not_believed(home: Path, mode: int) -> None:
    home.chmod(mode)
    for named in (None, home):
        with pytest.raises(StartError, match="Other users may write"):
            find(Settings(), named)


@pytest.mark.parametrize("name", ["running.json", "lock"])
def test_links_inside_of_it_are_not_followed(home: Path, project: Path, name: str) -> None:
    (home / name).rename(project / "elsewhere")
    (home / name).symlink_to(project / "elsewhere")
    with pytest.raises(StartError, match="cannot be read"):
        find(Settings(), None)


@pytest.mark.parametrize("content", ["{", "[]", '{"databaseUrl": "postgresql://x/y"}', "\0"])
def test_what_is_damaged_is_told(home: Path, content: str) -> None:
    (home / "running.json").write_text(content)
    with pytest.raises(StartError):
        find(Settings(), None)


@only_root
@pytest.mark.usefixtures("project")
def test_a_strangers_settings_file_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Path(".env")
    env.write_text("TASKFLOW_PORT=1234\n")
    assert load_settings({})[0].port == 1234
    os.chown(env, STRANGER, STRANGER)
    with pytest.raises(SettingsError, match=f"belongs to user {STRANGER}"):
        load_settings({})
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert load_settings({})[0].port == 1234


@pytest.mark.usefixtures("project")
def test_a_settings_file_that_everybody_may_write_is_not_believed() -> None:
    env = Path(".env")
    env.write_text("TASKFLOW_PORT=1234\n")
    env.chmod(0o664)
    assert load_settings({})[0].port == 1234
    env.chmod(0o666)
    with pytest.raises(SettingsError, match="Every user may write"):
        load_settings({})
