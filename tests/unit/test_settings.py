"""Settings: where they come from, what is refused, and that no secret is shown."""

import re
from pathlib import Path

import pytest

from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.parsing import EXAMPLE_SECRET
from taskflow_bootstrap.settings import KNOWN, Settings, load_settings, variable, with_address
from taskflow_core import Rate
from taskflow_redis import open_client

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-the-tests-0123456789-abcdefgh"
DATABASE = "postgresql://me:hunter2@db.internal:5433/taskflow?sslpassword=hunter3"
SMTP = "smtp://me%40example.com:hunter%35@mail.internal?ca=/hunter6"
REDIS = "redis://:hunter4@cache.internal:6379/0"


def load(environ: dict[str, str], env_file: Path | None = None) -> Settings:
    return load_settings(environ, env_file=env_file)[0]


def faults(environ: dict[str, str], env_file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file)
    return caught.value.faults


def test_without_any_the_defaults_hold_and_secrets_are_missing() -> None:
    settings = load({})
    assert (settings.host, settings.port, settings.password_cost) == ("127.0.0.1", 3000, 12)
    with pytest.raises(SettingsError) as caught:
        settings.require("database_url", "redis_url", "jwt_secret")
    assert [fault.split()[0] for fault in caught.value.faults] == [
        "TASKFLOW_DATABASE_URL",
        "TASKFLOW_REDIS_URL",
        "TASKFLOW_JWT_SECRET",
    ]


def test_every_setting_is_read_from_its_variable() -> None:
    given = {
        "TASKFLOW_DATABASE_URL": DATABASE,
        "TASKFLOW_REDIS_URL": REDIS,
        "TASKFLOW_JWT_SECRET": f"{SECRET}, {SECRET}-older",
        "TASKFLOW_HOST": "0.0.0.0",
        "TASKFLOW_PORT": "8080",
        "TASKFLOW_MAX_CONNECTIONS": "2000",
        "TASKFLOW_LOG_FORMAT": "json",
        "TASKFLOW_LOG_LEVEL": "debug",
        "TASKFLOW_DATABASE_POOL_SIZE": "20",
        "TASKFLOW_USER_CONCURRENCY": "3",
        "TASKFLOW_QUOTA_TASKS": "4",
        "TASKFLOW_QUOTA_BYTES": "5",
        "TASKFLOW_STATEMENT_TIMEOUT": "2.5",
        "TASKFLOW_REQUEST_TIMEOUT": "7",
        "TASKFLOW_PASSWORD_COST": "10",
        "TASKFLOW_PASSWORD_THREADS": "4",
        "TASKFLOW_ACCESS_TOKEN_LIFETIME": "60",
        "TASKFLOW_REFRESH_GRACE": "20",
        "TASKFLOW_RATE_LIMIT_LOGIN": "6/minute",
        "TASKFLOW_RATE_LIMIT_REFRESH": "1/second",
        "TASKFLOW_RATE_LIMIT_REGISTER": "2/day",
        "TASKFLOW_RATE_LIMIT_PASSWORD": "3/minute",
        "TASKFLOW_RATE_LIMIT_API": "off",
        "TASKFLOW_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "TASKFLOW_CORS_ORIGINS": "https://tasks.example.com, http://[::1]:5173",
        "TASKFLOW_HSTS": "on",
        "TASKFLOW_SMTP_URL": SMTP,
        "TASKFLOW_MAIL_FROM": "taskflow@example.com",
    }
    assert set(given) == set(map(variable, Settings.__struct_fields__))
    settings, default = load(given), Settings()
    assert all(getattr(settings, name) != getattr(default, name) for name in Settings.__struct_fields__)
    assert settings.jwt_secret == (SECRET, f"{SECRET}-older")
    assert (settings.rate_limit_register, settings.rate_limit_api) == (Rate(2, 86400), None)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.cors_origins == ("https://tasks.example.com", "http://[::1]:5173")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TASKFLOW_PORT", "http", "must be a whole number from 0 to 65535"),
        ("TASKFLOW_PORT", "70000", "must be a whole number from 0 to 65535"),
        ("TASKFLOW_STATEMENT_TIMEOUT", "nan", "must be a number above 0 to 600"),
        ("TASKFLOW_STATEMENT_TIMEOUT", "-1", "must be a number above 0 to 600"),
        ("TASKFLOW_LOG_LEVEL", "loud", "must be debug or info or warning or error"),
        ("TASKFLOW_DATABASE_URL", "mysql://me:hunter2@db/x", "must be an address such as postgresql://"),
        (
            "TASKFLOW_DATABASE_URL",
            "postgresql://me:hunter2@db:port/x",
            "must be an address such as postgresql://",
        ),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?schema=public", "does not know: schema"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?pgbouncer=true", "does not know: pgbouncer"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?sslmode=hunter5", "has a sslmode that"),
        (
            "TASKFLOW_DATABASE_URL",
            "postgresql://db/x?sslrootcert=/hunter5",
            "sslrootcert that does not exist",
        ),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?connect_timeout=hunter5", "connect_timeout that is not"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?require_auth=hunter5", "has a require_auth that"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?target_session_attrs=standby", "lead to the primary"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a,b/x?target_session_attrs=any", "lead to the primary"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?replication=database", "must not ask for replication"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a,b/x?port=1,2,3", "one port for all hosts, or one for each"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a,b/x?hostaddr=::1", "as many hostaddr as hosts"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?hostaddr=hunter5", "hostaddr that is not an IP address"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?sslmode=prefer&sslrootcert=system", "weak sslmode"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?sslnegotiation=direct", "sslnegotiation=direct"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?require_auth=md5,md5", "more than once"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?scram_client_key=hunter5", "invalid SCRAM client key"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a/x?options=-c%20jit=hunter5", "written as %3D"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:hunter%FF@db/x", "percent-encoded"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?host=a:1&host=b:2", "names host more than once"),
        ("TASKFLOW_DATABASE_URL", "postgresql://db/x?service=hunter5", "must not name a service"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:hunter%5@db/x", "percent-encoded"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:hunter%00@db/x", "percent-encoded"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:hunt@er2@db/x", "percent-encoded"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:1/hunter2@db/x", "percent-encoded"),
        ("TASKFLOW_DATABASE_URL", "postgresql://me:hunter5@db:0/x", "from 1 to 65535"),
        ("TASKFLOW_DATABASE_URL", "postgresql://a:1,b:hunter5/x", "from 1 to 65535"),
        ("TASKFLOW_DATABASE_URL", "host=db dbname=hunter5", "must be an address such as postgresql://"),
        ("TASKFLOW_REDIS_URL", "hunter2", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "REDIS://hunter2", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "redis://cache:hunter2", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "redis://:hunt@er2@cache", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "redis://:hunter%2@cache", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "redis://:hunter%ff@cache", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "redis://cache/hunter2", "must have a number as its database"),
        ("TASKFLOW_REDIS_URL", "redis://cache/0?foo=hunter2", "cannot be used with it: foo"),
        ("TASKFLOW_REDIS_URL", "redis://cache/0?socket_timeout=hunter2", "socket_timeout that is not valid"),
        ("TASKFLOW_REDIS_URL", "redis://cache/0?decode_responses=1", "with it: decode_responses"),
        ("TASKFLOW_REDIS_URL", "redis://cache/0?ssl_cert_reqs=none", "with it: ssl_cert_reqs"),
        ("TASKFLOW_REDIS_URL", "rediss://cache/0?ssl_ca_certs=/hunter2", "ssl_ca_certs that does not exist"),
        ("TASKFLOW_REDIS_URL", "unix://", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "unix://hunter5/cache.sock", "must be an address such as redis://"),
        ("TASKFLOW_REDIS_URL", "unix:///cache.sock?socket_keepalive=1", "with it: socket_keepalive"),
        ("TASKFLOW_REFRESH_GRACE", "-1", "must be a number from 0 to 300"),
        ("TASKFLOW_REFRESH_GRACE", "10", "must be 0, or more than the second"),
        ("TASKFLOW_RATE_LIMIT_LOGIN", "5", "such as 5/minute, or off"),
        ("TASKFLOW_RATE_LIMIT_API", "0/minute", "such as 5/minute, or off"),
        ("TASKFLOW_TRUSTED_PROXIES", "10.0.0.1/8", "must be networks or addresses"),
        ("TASKFLOW_TRUSTED_PROXIES", "proxy.internal", "must be networks or addresses"),
        ("TASKFLOW_CORS_ORIGINS", "*", "* is none"),
        ("TASKFLOW_CORS_ORIGINS", "https://tasks.example.com/", "must be origins"),
        ("TASKFLOW_CORS_ORIGINS", "https://Tasks.example.com", "must be origins"),
        ("TASKFLOW_CORS_ORIGINS", "null", "must be origins"),
        ("TASKFLOW_CORS_ORIGINS", "https://a:99999", "must be origins"),
        ("TASKFLOW_HSTS", "maybe", "must be on or off"),
        ("TASKFLOW_SMTP_URL", SMTP, "needs TASKFLOW_MAIL_FROM, which is not set"),
        ("TASKFLOW_SMTP_URL", "http://me:hunter5@mail", "must be an address such as smtp://"),
        ("TASKFLOW_SMTP_URL", "smtp://me:hunter5@mail:port", "must be an address such as smtp://"),
        ("TASKFLOW_SMTP_URL", "smtp://me:hunter%5@mail", "must be an address such as smtp://"),
        ("TASKFLOW_SMTP_URL", "smtp://me:hunt@er5@mail", "must be an address such as smtp://"),
        ("TASKFLOW_SMTP_URL", "smtp://me@mail", "must have a user and a password, or neither"),
        ("TASKFLOW_SMTP_URL", "smtp://me:hunter5@mail?tls=maybe", "must have tls=starttls or tls=none"),
        ("TASKFLOW_SMTP_URL", "smtp://me:hunter5@mail?timeout=7", "must have no options but tls and ca"),
        ("TASKFLOW_MAIL_FROM", "TaskFlow <taskflow@example.com>", "must be an address such as"),
        ("TASKFLOW_JWT_SECRET", "hunter2", "must have 32 bytes or more"),
        ("TASKFLOW_JWT_SECRET", f"{SECRET},hunter2", "must have 32 bytes or more"),
        ("TASKFLOW_JWT_SECRET", " , ", "holds no secret"),
        ("TASKFLOW_JWT_SECRET", f"{SECRET},{EXAMPLE_SECRET}", "is the example of .env.example"),
    ],
)
def test_a_wrong_value_names_its_variable_and_never_a_secret(name: str, value: str, words: str) -> None:
    (fault,) = faults({name: value})
    assert fault.startswith(name)
    assert words in fault
    assert "hunter" not in fault
    assert EXAMPLE_SECRET not in fault


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://one:1,two:2/taskflow",
        "postgresql://me@/taskflow?host=/run/postgresql",
        "postgresql://me@%2Frun%2Fpostgresql/taskflow",
        "postgres://[::1]:5433/taskflow?sslmode=require&application_name=a&connect_timeout=3&options=-cjit%3Doff",
        "postgresql+psycopg://me:%40%3A%2F%3F%23%25@db/taskflow?target_session_attrs=primary",
    ],
)
def test_every_form_of_libpq_is_an_address_of_the_database(url: str) -> None:
    assert load({"TASKFLOW_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        "unix:///run/valkey.sock?db=1&username=me&password=you&client_name=a&protocol=2",
        "redis://me:%40%3A%2F@[::1]:6380/3?health_check_interval=5&max_connections=3&socket_keepalive=yes",
        "redis://cache?socket_timeout=1.5&socket_connect_timeout=2",
        f"rediss://cache/?ssl_cert_reqs=required&ssl_check_hostname=True&ssl_ca_certs={__file__}",
        f"rediss://cache/?ssl_ca_path={__file__}&ssl_certfile={__file__}&ssl_keyfile={__file__}",
    ],
)
def test_every_option_of_redis_that_is_accepted_is_one_that_the_client_knows(url: str) -> None:
    assert load({"TASKFLOW_REDIS_URL": url}).redis_url == url
    open_client(url).connection_pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's


@pytest.mark.parametrize("name", ["PGTZ", "PGDATESTYLE"])
def test_an_environment_that_overrides_what_is_relied_on_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "German")
    assert name in faults({"TASKFLOW_DATABASE_URL": DATABASE})[0]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PGTARGETSESSIONATTRS", "standby", "must lead to the primary"),
        ("PGCONNECT_TIMEOUT", "abc", "connect_timeout that is not a whole number"),
        ("PGPORT", "abc", "a port is a number"),
        ("PGHOSTADDR", "abc", "hostaddr that is not an IP address"),
        ("PGSSLMODE", "abc", "has a sslmode that PostgreSQL does not know"),
        ("PGSERVICE", "abc", "not found"),
        ("PGAPPNAME", "\udcff", "is not in UTF-8"),
    ],
)
def test_an_environment_with_which_no_connection_is_made_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    (fault,) = faults({"TASKFLOW_DATABASE_URL": "postgresql://db/x"})
    assert fault.startswith("TASKFLOW_DATABASE_URL cannot be used")
    assert words in fault


def test_an_environment_that_libpq_takes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOST": "a,b",
        "PORT": "1,2",
        "HOSTADDR": "::1,127.0.0.1",
        "SSLMODE": "require",
    }.items():
        monkeypatch.setenv(f"PG{name}", value)
    assert load({"TASKFLOW_DATABASE_URL": "postgresql:///x"}).database_url == "postgresql:///x"


def test_a_byte_order_mark_is_no_part_of_a_value_and_a_nul_is_refused(tmp_path: Path) -> None:
    secret, env_file = tmp_path / "secret", tmp_path / ".env"
    secret.write_bytes(b"\xef\xbb\xbf" + SECRET.encode())
    env_file.write_bytes(b"\xef\xbb\xbfTASKFLOW_PORT=8080\n")
    settings = load({"TASKFLOW_JWT_SECRET_FILE": str(secret)}, env_file)
    assert (settings.jwt_secret, settings.port) == ((SECRET,), 8080)
    for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET", "SMTP_URL"):
        secret.write_bytes(b"hunter\0" + SECRET.encode())
        (fault,) = faults({f"TASKFLOW_{name}_FILE": str(secret)})
        assert fault == f"TASKFLOW_{name} must not hold a NUL."


def test_a_grace_may_be_turned_off_whatever_the_deadline() -> None:
    assert load({"TASKFLOW_REFRESH_GRACE": "0"}).refresh_grace == 0
    assert load({"TASKFLOW_REFRESH_GRACE": "5", "TASKFLOW_REQUEST_TIMEOUT": "4.5"}).refresh_grace == 5


def test_all_faults_are_told_at_once() -> None:
    assert len(faults({"TASKFLOW_PORT": "x", "TASKFLOW_LOG_LEVEL": "x", "TASKFLOW_JWT_SECRET": "x"})) == 3


def test_an_unknown_name_is_warned_about_with_what_was_meant() -> None:
    _, warnings = load_settings(
        {"TASKFLOW_DATABSE_URL": "x", "TASKFLOW_ZZZ": "x", "HOME": "/"}, env_file=None
    )
    assert "Did you mean TASKFLOW_DATABASE_URL?" in warnings[0]
    assert "Did you mean" not in warnings[1]
    assert len(warnings) == 2


def test_what_is_set_to_nothing_is_not_set() -> None:
    assert load({"TASKFLOW_PORT": "", "TASKFLOW_REDIS_URL": " "}) == Settings()


def test_nothing_shows_a_secret() -> None:
    settings = load(
        {
            "TASKFLOW_DATABASE_URL": DATABASE,
            "TASKFLOW_REDIS_URL": REDIS,
            "TASKFLOW_JWT_SECRET": SECRET,
            "TASKFLOW_SMTP_URL": SMTP,
            "TASKFLOW_MAIL_FROM": "taskflow@example.com",
        }
    )
    for shown in (repr(settings), str(settings), f"{settings}", str(settings.__rich_repr__())):
        assert "hunter" not in shown
        assert SECRET not in shown
    assert "postgresql://db.internal:5433/taskflow" in repr(settings)
    assert "smtp_url='smtp://mail.internal'" in repr(settings)
    assert "jwt_secret='1 hidden'" in repr(settings)


def test_a_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert load({"TASKFLOW_JWT_SECRET_FILE": str(tmp_path / "secret")}).jwt_secret == (SECRET,)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("empty", "large", "binary", "missing", "."):
        (fault,) = faults({"TASKFLOW_JWT_SECRET_FILE": str(tmp_path / name)})
        assert fault.startswith("TASKFLOW_JWT_SECRET_FILE names")


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    given = {"TASKFLOW_JWT_SECRET": SECRET, "TASKFLOW_JWT_SECRET_FILE": str(tmp_path / "secret")}
    assert "both set" in faults(given)[0]


def test_only_secrets_have_files() -> None:
    _, warnings = load_settings({"TASKFLOW_PORT_FILE": "/x"}, env_file=None)
    assert "TASKFLOW_PORT_FILE is not a setting" in warnings[0]


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        '# a comment\nexport TASKFLOW_PORT=4000 # why\nTASKFLOW_HOST="0.0.0.0"\n'
        f"TASKFLOW_JWT_SECRET={SECRET}$HOME\nOTHER=1\n",
        encoding="utf-8",
    )
    settings = load({"TASKFLOW_PORT": "5000"}, file)
    assert (settings.port, settings.host, settings.jwt_secret) == (5000, "0.0.0.0", (f"{SECRET}$HOME",))


def test_a_secrets_file_in_the_environment_goes_before_the_secret_in_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TASKFLOW_JWT_SECRET=too short", encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET)
    given = {"TASKFLOW_JWT_SECRET_FILE": str(tmp_path / "secret")}
    assert load(given, tmp_path / ".env").jwt_secret == (SECRET,)


def test_a_file_that_cannot_be_understood(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TASKFLOW_PORT=1\nTASKFLOW_JWT_SECRET='hunter2\n", encoding="utf-8")
    (fault,) = faults({}, file)
    assert "line 2" in fault
    assert "hunter" not in fault
    file.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in faults({}, file)[0]


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert load({}, tmp_path / ".env") == Settings()


def test_the_command_line_goes_before_all() -> None:
    assert with_address(Settings(), None, None) == Settings()
    assert with_address(Settings(), "::1", 0) == Settings(host="::1", port=0)


def test_the_example_names_every_setting_with_its_default_and_is_refused() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = dict(re.findall(r"^#?(TASKFLOW_\w+)=(.*)$", text, re.MULTILINE))
    assert set(named) == {name for name in KNOWN if not name.endswith("_FILE")}
    assert named.pop("TASKFLOW_JWT_SECRET") == EXAMPLE_SECRET
    settings = load(named)
    expected = Settings(database_url=named["TASKFLOW_DATABASE_URL"], redis_url=named["TASKFLOW_REDIS_URL"])
    assert settings == expected
    assert "example" in faults({"TASKFLOW_JWT_SECRET": EXAMPLE_SECRET})[0]
