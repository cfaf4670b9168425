"""A reader that shares nothing with what it judges: libpq, by psycopg, or by psql where there is none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dbpool.embedded.account import server_account
from dbpool.embedded.binaries import find_binaries


class Unreachable(Exception):
    """The server is not there now."""


class Refused(Exception):
    """It refuses a value."""


def reader_of(dsn: str) -> Reader | PsqlReader:
    return Reader(dsn) if find_spec("psycopg") is not None else PsqlReader(dsn, _psql())


@dataclass(slots=True)
class Reader:
    """By psycopg, over one connection, opened anew when it was lost."""

    dsn: str
    _connection: Any = None

    def lines(self, query: str) -> Iterator[bytes]:
        """The rows of *query*, as lines of COPY's text.

        Raises: Unreachable, Refused.
        """
        import psycopg

        try:
            if self._connection is None:
                self._connection = psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)
            rest = b""
            with self._connection.cursor().copy(f"copy ({query}) to stdout") as copy:
                for block in copy:
                    *whole, rest = (rest + bytes(block)).split(b"\n")
                    yield from whole
        except psycopg.Error as error:
            self._connection = None
            if isinstance(error, psycopg.DataError):
                raise Refused(str(error)) from error
            raise Unreachable(str(error)) from error


@dataclass(slots=True)
class PsqlReader:
    """By psql, a process for each query."""

    dsn: str
    psql: Path

    def lines(self, query: str) -> Iterator[bytes]:
        words = [str(self.psql), "-XqAt", "-d", self.dsn, "-c", f"copy ({query}) to stdout"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                yield line.rstrip(b"\n")
            said = process.stderr.read()
        if b"is in the future" in said:
            raise Refused(said.decode())
        if process.returncode != 0:
            raise Unreachable(f"psql ended with exit code {process.returncode}")


def _psql() -> Path:
    return find_binaries(server_account(), deadline=time.monotonic() + 30).path("psql")
