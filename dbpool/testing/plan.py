"""What a test session is told: by options, by the environment, by pytest's own settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pytest

from dbpool.errors import SettingsError, UsageError
from dbpool.settings import PoolSettings
from dbpool.testing.server import IMAGE, KINDS

PATIENCE_S: Final = 2.0  # for a cleanup after a cancellation, which takes milliseconds if the machine has time


@dataclass(frozen=True, slots=True)
class Plan:
    """Which server, what is in its databases, and how the pool is set."""

    server: str
    why: str
    """Who says which server; empty: nobody."""
    dsn: str
    image: str
    migrations: Path | None
    options: Mapping[str, Any]
    """For DatabasePool: what ``dbpool_settings`` says."""
    patience_s: float
    """For what a test has left to end by itself, before it is told."""


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest what may be said."""
    group = parser.getgroup("dbpool", "PostgreSQL for tests, by dbpool")
    group.addoption(
        "--dbpool-server",
        metavar="KIND",
        help="the server for tests: container, embedded, url (that of --dbpool-dsn) or auto (the first that is there)",
    )
    group.addoption("--dbpool-dsn", metavar="DSN", help="a server to use, as a role that may make and drop databases")
    parser.addini("dbpool_server", "as --dbpool-server", default="")
    parser.addini("dbpool_dsn", "as --dbpool-dsn", default="")
    parser.addini("dbpool_image", f"the container's image, {IMAGE} by default", default="")
    parser.addini("dbpool_migrations", "a folder of migrations, or a .sql file, that makes the template", default="")
    parser.addini("dbpool_settings", "settings of the pool, a line each: query_timeout = 5", type="linelist")
    parser.addini("dbpool_patience", f"seconds for what a test has left to end, {PATIENCE_S:g} by default", default="")


def read_plan(config: pytest.Config) -> Plan:
    """What was said.

    Raises:
        pytest.UsageError: something cannot be.
    """
    dsn = config.getoption("--dbpool-dsn") or os.environ.get("DBPOOL_TEST_DSN") or config.getini("dbpool_dsn")
    kind, why = _first(
        (config.getoption("--dbpool-server"), "--dbpool-server"),
        (os.environ.get("DBPOOL_TEST_SERVER"), "DBPOOL_TEST_SERVER"),
        ("url" if config.getoption("--dbpool-dsn") else None, "--dbpool-dsn"),
        ("url" if os.environ.get("DBPOOL_TEST_DSN") else None, "DBPOOL_TEST_DSN"),
        (config.getini("dbpool_server"), "dbpool_server"),
        ("url" if dsn else None, "dbpool_dsn"),
    )
    if kind not in ("", "auto", *KINDS):
        raise pytest.UsageError(f"{why} should be container, embedded, url or auto, not {kind!r}")
    if kind == "url" and not dsn:
        raise pytest.UsageError(f"{why} says url, but there is no DSN: give --dbpool-dsn")
    return Plan(
        server=kind,
        why=f"{why} says so" if kind else "",
        dsn=dsn,
        image=os.environ.get("DBPOOL_TEST_IMAGE") or config.getini("dbpool_image") or IMAGE,
        migrations=_migrations(config),
        options=_options(config.getini("dbpool_settings")),
        patience_s=_patience(config.getini("dbpool_patience")),
    )


def checked_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """*options* for a pool, if they can be.

    Raises:
        SettingsError: one has no such name, or is out of range.
    """
    if "dsn" in options:
        raise SettingsError("the pool's DSN is that of the test's own database")
    PoolSettings.from_mapping({"dsn": "postgresql://app@localhost/test", **options})
    return options


def _first(*said: tuple[str | None, str]) -> tuple[str, str]:
    return next(((what, by) for what, by in said if what), ("", ""))


def _migrations(config: pytest.Config) -> Path | None:
    text = config.getini("dbpool_migrations")
    if not text:
        return None
    path: Path = (config.inipath.parent if config.inipath else config.rootpath) / text
    if not path.exists():
        raise pytest.UsageError(f"dbpool_migrations: there is no {path}")
    return path


def _patience(text: str) -> float:
    try:
        return float(text or PATIENCE_S)
    except ValueError:
        raise pytest.UsageError(f"dbpool_patience should be a number of seconds, not {text!r}") from None


def _options(lines: list[str]) -> Mapping[str, Any]:
    """Read as ``PoolSettings.from_env`` reads the environment."""
    said: dict[str, str] = {}
    for line in lines:
        name, equals, value = map(str.strip, line.partition("="))
        if not equals or not value:
            raise pytest.UsageError(f"dbpool_settings: a line should look like query_timeout = 5, not {line!r}")
        said[name] = value
    known = {field.name for field in fields(PoolSettings)} - {"dsn", "credentials", "ssl", "server_settings"}
    if unknown := sorted(said.keys() - known):
        raise pytest.UsageError(f"dbpool_settings: unknown setting {', '.join(unknown)}; known are: {sorted(known)}")
    environ = {name.upper(): value for name, value in said.items()}
    try:
        settings = PoolSettings.from_env({"DATABASE_URL": "postgresql://app@localhost/test", **environ}, prefix="")
    except UsageError as error:
        raise pytest.UsageError(f"dbpool_settings: {error}") from None
    except SettingsError as error:
        raise pytest.UsageError(f"dbpool_settings: {error}") from None
    return {name: getattr(settings, name) for name in said}
