"""A server of a rig's own, on loopback with passwords, that takes many sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg

from dbpool.embedded import EmbeddedPostgres
from dbpool.testing.addresses import dsn_of_database, dsn_with
from dbpool.testing.server import SETTINGS
from tests.support.certificates import Certificate, self_signed

PASSWORD = "pw"
# To hash a password 4,096 times, twice for each connection, would take most of a rig's time.
CHEAP = {"scram_iterations": "1", "max_connections": "300", "log_min_messages": "panic"}


class RigServer:
    """Where it is, and as whom to come."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self.admin = server.dsn()
        """Of a superuser, through TCP."""
        with psycopg.connect(self.admin, autocommit=True) as witness:
            witness.execute(f"create role app login password '{PASSWORD}'")
            witness.execute("create database rig owner app")
        self.dsn = dsn_with(dsn_of_database(self.admin, "rig"), user="app", password=PASSWORD)
        """Of an ordinary role, through TCP."""
        self.socket_dsn = f"postgresql://app@/rig?host={quote(str(server.socket_dir))}&port={self.port}"
        """The same through the unix socket."""
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            owner.execute("create table wire (key bigint)")

    @property
    def port(self) -> int:
        return int(urlsplit(self.admin).port or 0)

    @property
    def data_dir(self) -> Path:
        return self._server.data_dir

    @cached_property
    def certificate(self) -> Certificate:
        """For TLS in front of it, which it is built without; it is its own authority's."""
        return self_signed(self.data_dir, "rig", "IP:127.0.0.1")

    def witness(self) -> psycopg.Connection[tuple[int, ...]]:
        """A superuser's connection by another driver than the pool's; each statement commits by itself."""
        return psycopg.connect(dsn_of_database(self.admin, "rig"), autocommit=True)


@contextmanager
def rig_server() -> Iterator[RigServer]:
    with EmbeddedPostgres(settings=SETTINGS | CHEAP, listen=True) as server:
        yield RigServer(server)
