"""The settings of a process: read once from `TASKFLOW_*`, checked whole, typed, shown without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from taskflow_bootstrap.environment import (
    FILE_SUFFIX,
    PREFIX,
    read_environment,
    read_secret_files,
    unknown_variables,
)
from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.parsing import (
    check_database_url,
    check_networks,
    check_origins,
    check_rate,
    check_redis_url,
    check_secrets,
    check_smtp_url,
    check_switch,
)
from taskflow_core import Rate
from taskflow_notify import check_sender

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
RateLimit: TypeAlias = Rate | None
"""None is no limit."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set; the variable of each is `TASKFLOW_` and its name in capitals.

    The addresses and the secret have no default: `require` says so where they are needed.

    Attributes:
        database_url: PostgreSQL. Secret.
        redis_url: Redis or Valkey. Secret.
        jwt_secret: Newest first, 32 bytes or more each; the first signs, all are believed. Secret.
        host: The address that the API listens on.
        port: Its port; 0 takes a free one.
        max_connections: Connections of clients of one process, as far as its limit of open files allows.
        log_format: "auto" is for people on a terminal, and JSON lines elsewhere.
        log_level: The least that is logged.
        database_pool_size: Connections of one process.
        user_concurrency: Requests of one user (one address, where nobody is signed in) under way at a time
            in one process, at most half of the pool; 0 lifts it.
        quota_tasks: Tasks of one account, deleted ones included until they are purged; 0 lifts the limit.
        quota_bytes: Bytes of their titles and descriptions; 0 lifts the limit.
        statement_timeout: Seconds after which PostgreSQL gives up a statement.
        request_timeout: Seconds after which the API gives up a request.
        password_cost: Of bcrypt; one more doubles the time.
        password_threads: Passwords hashed at a time in one process.
        access_token_lifetime: Seconds that an access token is good for.
        refresh_grace: Seconds for which a replaced refresh token still gets the current one; 0 is off.
        rate_limit_login: Log-ins of one address.
        rate_limit_refresh: Refreshes of one address.
        rate_limit_register: Registrations of one address.
        rate_limit_password: Changes of one's own password, failed and successful, of one user.
        rate_limit_api: Everything else, of one user; each 16 KiB of a body count for one more; a batch
            by its items.
        trusted_proxies: Networks of reverse proxies that are believed who the client is.
        cors_origins: Origins whose pages may call the API from a browser.
        hsts: Whether browsers are told to come by HTTPS alone, from now on and for a year.
        smtp_url: The mail server that notices go to; without one they go to the log. Secret.
        mail_from: The address that mails are from; needed with `smtp_url`.
    """

    database_url: str = ""
    redis_url: str = ""
    jwt_secret: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 3000
    max_connections: Annotated[int, Meta(ge=10, le=1_000_000)] = 1000
    log_format: LogFormat = "auto"
    log_level: LogLevel = "info"
    database_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 10
    user_concurrency: Annotated[int, Meta(ge=0, le=1000)] = 4
    quota_tasks: Annotated[int, Meta(ge=0, le=10**12)] = 100_000
    quota_bytes: Annotated[int, Meta(ge=0, le=10**15)] = 1_073_741_824
    statement_timeout: Annotated[float, Meta(gt=0, le=600)] = 5.0
    request_timeout: Annotated[float, Meta(gt=0, le=600)] = 10.0
    password_cost: Annotated[int, Meta(ge=10, le=16)] = 12
    password_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    access_token_lifetime: Annotated[int, Meta(ge=30, le=86400)] = 900
    refresh_grace: Annotated[float, Meta(ge=0, le=300)] = 30.0
    rate_limit_login: RateLimit = Rate(5, 60)
    rate_limit_refresh: RateLimit = Rate(10, 60)
    rate_limit_register: RateLimit = Rate(10, 3600)
    rate_limit_password: RateLimit = Rate(10, 3600)
    rate_limit_api: RateLimit = Rate(100, 60)
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    hsts: bool = False
    smtp_url: str = ""
    mail_from: str = ""

    def __post_init__(self) -> None:
        """Read text like a variable's, where the setting is not a text: `jwt_secret="…"`, `hsts="on"`."""
        faults = []
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if isinstance(value, str) and not isinstance(default, str):
                try:
                    parsed = _PARSERS[name](value) if value.strip() else default
                except ValueError as error:
                    faults.append(f"{variable(name)} {error}.")
                else:
                    msgspec.structs.force_setattr(self, name, parsed)
        if faults:
            raise SettingsError(faults)

    def require(self, *names: str) -> None:
        """Raise `SettingsError` that names every one of these settings that is not given."""
        missing = [name for name in names if not getattr(self, name)]
        if missing:
            raise SettingsError(_missing(name) for name in missing)

    def check_addresses(self) -> None:
        """Raise `SettingsError` that names every address that cannot be used, as `load_settings` does."""
        faults = []
        for name in ("database_url", "redis_url", "smtp_url"):
            try:
                if address := getattr(self, name):
                    _PARSERS[name](address)
            except ValueError as error:
                faults.append(f"{variable(name)} {error}.")
        if faults:
            raise SettingsError(faults)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return each setting as it may be shown; rich and `repr` both use it."""
        return [(name, _SHOWN.get(name, _as_it_is)(getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        """Return all settings, secrets left out."""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


SECRETS: Final = ("database_url", "redis_url", "jwt_secret", "smtp_url")
_SEVERAL_HOSTS: Final = re.compile(r"[\w.-]+(:\d+)?(,[\w.-]+(:\d+)?)+")
_SECRET_VARIABLES: Final = tuple(map(variable, SECRETS))
KNOWN: Final = frozenset(
    [*map(variable, Settings.__struct_fields__), *(name + FILE_SUFFIX for name in _SECRET_VARIABLES)]
)
"""Every variable that means something."""


def load_settings(
    environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")
) -> tuple[Settings, list[str]]:
    """Return the settings, and a warning for each `TASKFLOW_*` variable that is none.

    Args:
        environ: The environment; by default this process's.
        env_file: Adds what the environment does not have; need not exist.

    Raises:
        SettingsError: Values are wrong; every fault is named with its variable.
    """
    variables = read_environment(os.environ if environ is None else environ, env_file)
    values, faults = read_secret_files(variables, _SECRET_VARIABLES)
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = values.get(variable(field.name))
        if text is None:
            continue
        try:
            given[field.name] = _parsed(field, text.strip())
        except ValueError as error:
            shown = "" if field.name in SECRETS else f" is {text!r}, but it"
            faults.append(f"{variable(field.name)}{shown} {error}.")
    faults += _conflicts(Settings(**given))
    if faults:
        raise SettingsError(faults)
    return Settings(**given), unknown_variables(variables, KNOWN)


def _conflicts(settings: Settings) -> list[str]:
    """Return what cannot be together."""
    conflicts = []
    grace, deadline = settings.refresh_grace, settings.request_timeout
    if grace and grace <= deadline:
        # Who waits for an answer that never comes must be able to try again.
        names = f"{variable('refresh_grace')} is {grace:g}, {variable('request_timeout')} is {deadline:g}"
        conflicts.append(f"{names}: the first must be 0, or more than the second.")
    if settings.smtp_url and not settings.mail_from:
        conflicts.append(f"{variable('smtp_url')} needs {variable('mail_from')}, which is not set.")
    return conflicts


def with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """Return the settings with what was given on the command line in place of theirs."""
    given = {"host": host, "port": port}
    return msgspec.structs.replace(settings, **{name: v for name, v in given.items() if v is not None})


def without_password(url: str) -> str:
    """Return what may be shown of an address: no user, no password, no options."""
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        if _SEVERAL_HOSTS.fullmatch(hosts):
            return f"{parts.scheme}://{hosts}{parts.path}"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}" if url else ""


def _parsed(field: msgspec.structs.FieldInfo, text: str) -> object:
    if "\0" in text:
        raise ValueError("must not hold a NUL")
    if field.name in _PARSERS:
        return _PARSERS[field.name](text)
    try:
        return msgspec.convert(text, field.type, strict=False)
    except msgspec.ValidationError:
        raise ValueError(f"must be {_expected(field.type)}") from None


def _expected(type_: Any) -> str:
    if get_origin(type_) is Literal:
        return " or ".join(get_args(type_))
    number, meta = get_args(type_)
    noun = "a whole number" if number is int else "a number"
    least = f"from {meta.ge}" if meta.ge is not None else f"above {meta.gt}"
    return f"{noun} {least} to {meta.le}"


def _missing(name: str) -> str:
    twin = f" (or {variable(name)}{FILE_SUFFIX}, the name of a file that holds it)" if name in SECRETS else ""
    return f"{variable(name)}{twin} is not set."


def _as_it_is(value: object) -> object:
    return value


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "database_url": check_database_url,
    "redis_url": check_redis_url,
    "jwt_secret": check_secrets,
    "rate_limit_login": check_rate,
    "rate_limit_refresh": check_rate,
    "rate_limit_register": check_rate,
    "rate_limit_password": check_rate,
    "rate_limit_api": check_rate,
    "trusted_proxies": check_networks,
    "cors_origins": check_origins,
    "hsts": check_switch,
    "smtp_url": check_smtp_url,
    "mail_from": check_sender,
}
_DEFAULTS: Final = {
    field.name: field.default for field in msgspec.structs.fields(Settings) if field.name in _PARSERS
}
_SHOWN: Final[Mapping[str, Callable[[Any], object]]] = {
    "database_url": without_password,
    "redis_url": without_password,
    "smtp_url": without_password,
    "jwt_secret": lambda secrets: f"{len(secrets)} hidden" if secrets else "none",
}
