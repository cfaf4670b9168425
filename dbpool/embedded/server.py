"""A PostgreSQL server of one's own."""

from __future__ import annotations

import os
import re
import secrets
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from dbpool.embedded.account import Account, server_account
from dbpool.embedded.binaries import Binaries, find_binaries
from dbpool.embedded.blocks import Blocks
from dbpool.embedded.cluster import SUPERUSER, check_template, ensure_kept, fresh_template
from dbpool.embedded.process import Launch, ServerProcess
from dbpool.embedded.scram import scram_verifier
from dbpool.errors import EmbeddedError

# losing throw-away data in a crash is no loss, so nothing of it needs to reach the disk
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
OWN_SETTINGS = {"data_directory", "hba_file", "listen_addresses", "port", "unix_socket_directories"}
SOCKET_PATH_BYTES = 103  # macOS; Linux has 107
PORT_ATTEMPTS = 3  # a free port may be taken by somebody else before the server binds it
TOOL_TIMEOUT_S = 60.0


class EmbeddedPostgres(Blocks):
    """A PostgreSQL server that lives as long as this object is open, and never longer than this process.

    Use it as a context manager, sync or async, or call ``start`` and ``stop``. It is reached through a unix socket
    in a directory closed to other users; root may start it, and it then runs as an unprivileged user.

    Args:
        data_dir: where the data are kept; made if missing, with PostgreSQL's safe settings. None: throw-away data.
        template: a stopped server's data directory to begin with, instead of an empty one.
        settings: configuration parameters of the server.
        listen: be reached through TCP on 127.0.0.1 instead, on a free port with a random password.
        start_timeout: longest time for everything that starting needs; the first start on a machine takes a second.
    Example: ``with EmbeddedPostgres() as server: run_tests(server.dsn())``
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        template: Path | None = None,
        settings: Mapping[str, str] | None = None,
        listen: bool = False,
        start_timeout: float = 30.0,
    ) -> None:
        self._kept = None if data_dir is None else Path(data_dir).resolve()
        self._template = None if template is None else Path(template).resolve()
        self._settings = checked_settings(settings or {})
        self._listen = listen
        self._start_timeout = start_timeout
        self._port = 5432  # part of the socket's name only, unless it listens
        self._password: str | None = None
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        if self._process is None:
            return "<EmbeddedPostgres: stopped>"
        return f"<EmbeddedPostgres {self.version}: pid {self._process.pid}, data in {self.data_dir}>"

    def start(self) -> None:
        """Return once the server takes connections.

        Raises:
            EmbeddedError: it did not start, and nothing of it is left; the message ends with the server's log.
        """
        if self._process is not None:
            raise EmbeddedError(f"Already started: {self!r}")
        try:
            self._start(time.monotonic() + self._start_timeout)
        except OSError as error:  # no space left, no permission
            raise EmbeddedError(f"The embedded PostgreSQL did not start: {error}") from error

    def stop(self) -> None:
        """End the server and remove what it does not keep; stopping twice is fine. Takes at most half a minute."""
        process, self._process, self._password = self._process, None, None
        if process is not None:
            process.stop()

    def dsn(self, database: str = "postgres") -> str:
        """Return a connection string for asyncpg or libpq; it holds the password if the server listens."""
        socket_dir, name = quote(str(self.socket_dir)), quote(database, safe="")
        if self._listen:
            return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{name}?sslmode=disable"
        return f"postgresql://{SUPERUSER}@/{name}?host={socket_dir}&port={self._port}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of the database *template* if given; nobody may be connected to that one."""
        self._run_tool("createdb", *(("-T", template) if template else ()), "--", name)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        pid = self._running().pid
        assert pid is not None
        return pid

    @property
    def version(self) -> str:
        """Such as ``18.6``."""
        return self._running().launch.binaries.version

    @property
    def socket_dir(self) -> Path:
        """The directory of the unix socket: closed to other users, removed at the end."""
        return self._running().launch.run_dir

    @property
    def data_dir(self) -> Path:
        """The data directory, kept or not."""
        return self._running().launch.data_dir

    def _start(self, deadline: float) -> None:
        account = server_account()
        binaries = find_binaries(account, deadline=deadline)
        if self._template is not None:
            check_template(self._template, binaries, account, deadline=deadline)
        # a kept directory needs a template once in its life, but looking is cheap
        source = self._template or fresh_template(binaries, account, deadline=deadline)
        if self._kept is not None:
            ensure_kept(self._kept, source, binaries, account, deadline=deadline)
        for attempt in range(PORT_ATTEMPTS):
            self._port = free_port() if self._listen else 5432
            try:
                self._launch(account, binaries, source, deadline)
                return
            except EmbeddedError as error:
                if "Address already in use" not in str(error) or attempt == PORT_ATTEMPTS - 1:
                    raise

    def _launch(self, account: Account, binaries: Binaries, source: Path, deadline: float) -> None:
        run_dir = new_run_dir(account, deadline)
        launch = Launch(
            account=account,
            binaries=binaries,
            run_dir=run_dir,
            data_dir=self._kept or run_dir / "data",
            template=None if self._kept else source,
            settings=self._all_settings(run_dir),
            hba="local all all trust\n" + ("host all all 127.0.0.1/32 scram-sha-256\n" if self._listen else ""),
        )
        self._process = ServerProcess(launch)
        try:
            self._process.wait_ready(deadline)
            if self._listen:
                self._set_password()
        except BaseException as error:  # KeyboardInterrupt too: nothing may be left
            self.stop()
            other = re.search(r"another postmaster \(PID (\d+)\)", str(error))
            if isinstance(error, EmbeddedError) and other:
                raise EmbeddedError(
                    f"{self._kept} is in use by the server with pid {other[1]}: stop that one, or use another data_dir."
                ) from error
            raise

    def _all_settings(self, run_dir: Path) -> dict[str, str]:
        socket_dir = str(run_dir).replace('"', '""')
        return {
            **({} if self._kept else THROW_AWAY),
            **self._settings,
            "hba_file": f"{run_dir}/pg_hba.conf",
            "listen_addresses": "127.0.0.1" if self._listen else "",
            "port": str(self._port),
            "unix_socket_directories": f'"{socket_dir}"',
        }

    def _set_password(self) -> None:
        # through stdin, and as a verifier: the server may be set to log statements
        self._password = secrets.token_urlsafe(24)
        statement = f"alter role {SUPERUSER} password '{scram_verifier(self._password)}'"
        self._run_tool("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres", text=statement)

    def _run_tool(self, program: str, *words: str, text: str = "") -> None:
        launch = self._running().launch
        where = ["-h", str(launch.run_dir), "-p", str(self._port), "-U", SUPERUSER]
        deadline = time.monotonic() + TOOL_TIMEOUT_S
        launch.account.run([launch.binaries.path(program), *where, *words], deadline=deadline, text=text)

    def _running(self) -> ServerProcess:
        if self._process is None:
            raise EmbeddedError("The embedded PostgreSQL is not started: use it in a with block, or call start().")
        return self._process


def checked_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Refuse names that are none, or that are set here."""
    for name in settings:
        if not re.fullmatch(r"[a-z_.]+", name):
            raise EmbeddedError(f"{name!r} is not the name of a setting: lower-case letters, '_' and '.' only.")
        if name in OWN_SETTINGS:
            raise EmbeddedError(f"{name!r} is set by EmbeddedPostgres itself: use data_dir= or listen=.")
    return dict(settings)


def new_run_dir(account: Account, deadline: float) -> Path:
    """Choose a new directory, short enough for a socket's path, that the supervisor can make."""
    name = f"dbpool-{secrets.token_hex(4)}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - a private directory will be made in it
        is_short = len(os.fsencode(parent / name / ".s.PGSQL.65535")) <= SOCKET_PATH_BYTES
        if is_short and account.may_write(parent, deadline=deadline):
            return parent / name
    raise EmbeddedError(f"No temporary directory that user {account.name!r} can write to: set TMPDIR.")


def free_port() -> int:
    """One on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
