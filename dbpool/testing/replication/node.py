"""One server of several: tests may stop it, freeze it, cut it off, promote it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dbpool.embedded.account import Account
from dbpool.embedded.binaries import Binaries
from dbpool.embedded.cluster import SUPERUSER
from dbpool.embedded.process import Launch, ServerProcess
from dbpool.embedded.server import new_run_dir
from dbpool.errors import EmbeddedError

PATIENCE_S = 30.0  # for whatever a server is told to do; it takes tenths of a second on an idle machine
POLL_S = 0.005
# From within the directory of its socket, which other users cannot enter; with the password by TCP.
HBA = "\n".join(f"{how}\n" for how in ("local all all trust", "local replication all trust"))
HBA += "host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class Home:
    """What all servers of a cluster have in common."""

    account: Account
    binaries: Binaries
    directory: Path
    settings: dict[str, str]
    password: str


class PostgresNode:
    """A server of a ``PostgresCluster``. Its port on 127.0.0.1 stays the same; each method blocks until it is done."""

    def __init__(self, home: Home, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self._home = home
        self._data_dir = home.directory / name
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        return (
            f"<PostgresNode {self.name}: {'stopped' if self._process is None else f'pid {self.pid}'}, {self.address}>"
        )

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None or self._process.pid is None:
            raise EmbeddedError(f"{self.name} is not running")
        return self._process.pid

    def dsn(self, database: str = "postgres") -> str:
        """Of this server alone."""
        return f"postgresql://{SUPERUSER}:{self._home.password}@{self.address}/{database}?sslmode=disable"

    # Its life

    def start(self) -> None:
        """Return once it takes connections, as a standby too.

        Raises:
            EmbeddedError: it does not start; the message ends with its log.
        """
        if self._process is not None:
            raise EmbeddedError(f"already started: {self!r}")
        home, deadline = self._home, time.monotonic() + PATIENCE_S
        place = new_run_dir(home.account, deadline)
        own = {
            "hba_file": f"{place}/pg_hba.conf",
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(place),
        }
        launch = Launch(home.account, home.binaries, place, self._data_dir, None, {**home.settings, **own}, HBA)
        self._process = ServerProcess(launch)
        try:
            self._process.wait_ready(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self, *, immediate: bool = False) -> None:
        """End it as ``pg_ctl stop`` does: ``-m fast``, or with *immediate* as a crash would; twice is fine."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.pid is not None:
            self._signal(process.pid, signal.SIGQUIT if immediate else signal.SIGINT)
            self._signal_all(process.pid, signal.SIGCONT)
            with suppress(EmbeddedError):  # then the supervisor is less polite
                _wait(lambda: not _is_alive(process.pid), f"{self.name} does not end")
        process.stop()

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start it."""
        self.stop(immediate=immediate)
        self.start()

    def freeze(self) -> None:
        """Stop all its processes where they are: its sockets stay open, and nobody answers."""
        self._signal(self.pid, signal.SIGSTOP)  # first: it makes no more of the others
        self._signal_all(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(self.pid, signal.SIGCONT)

    # What it is

    @property
    def is_standby(self) -> bool:
        """Whether it replays what another one writes; False also if it is not running."""
        return self.is_running and self.ask("select pg_is_in_recovery()") == "t"

    def answers(self, within_s: float = 1.0) -> bool:
        """Whether it answers a question in time, which a frozen one does not."""
        try:
            return self.ask("select 1", within_s) == "1"
        except EmbeddedError:
            return False

    def promote(self) -> None:
        """Make a standby a primary; return once it takes writes. The old one is not told: there may be two then."""
        (self._data_dir / "promote").touch()
        self._signal(self.pid, signal.SIGUSR1)
        _wait(lambda: not self.is_standby, f"{self.name} is not promoted")

    def follow(self, primary: PostgresNode) -> None:
        """Have a standby, running or not, replay what *primary* writes from now on; see ``rejoin`` for others."""
        self.configure(
            primary_conninfo=f"host=127.0.0.1 port={primary.port} user={SUPERUSER} password={self._home.password} "
            f"application_name={self.name} sslmode=disable"
        )

    def rejoin(self, primary: PostgresNode) -> None:
        """Make it a standby of *primary*, whatever it was: from a new base backup; return once it does."""
        self.stop()
        self.copy(primary)
        (self._data_dir / "standby.signal").touch()
        self.follow(primary)
        self.start()
        _wait(lambda: self.follows(primary), f"{self.name} does not follow {primary.name}")

    def follows(self, primary: PostgresNode) -> bool:
        """Whether it receives what *primary* writes."""
        sender = "select sender_port from pg_stat_wal_receiver where status = 'streaming' and pg_is_in_recovery()"
        return self.is_running and self.ask(sender) == str(primary.port)

    def copy(self, primary: PostgresNode) -> None:
        """Replace its data by those of *primary*, which runs."""
        home = self._home
        shutil.rmtree(self._data_dir, ignore_errors=True)
        assert primary._process is not None
        home.account.run(
            [
                home.binaries.path("pg_basebackup"),
                *("-h", primary._process.launch.run_dir, "-p", str(primary.port), "-U", SUPERUSER),
                *("-D", self._data_dir, "--checkpoint=fast", "--wal-method=stream", "--no-sync"),
            ],
            deadline=time.monotonic() + PATIENCE_S,
        )

    # What it is told

    def configure(self, **settings: str) -> None:
        """Set parameters as ALTER SYSTEM does; a running server reads them at once, those that need no restart."""
        lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
        with (self._data_dir / "postgresql.auto.conf").open("a") as file:
            file.writelines(lines)
        if self.is_running:
            self._signal(self.pid, signal.SIGHUP)

    def cut(self) -> None:
        """Let a standby receive nothing more, until ``follow``."""
        self.configure(primary_conninfo="")
        _wait(lambda: self.ask("select count(*) from pg_stat_wal_receiver") == "0", f"{self.name} is not cut off")

    def lag(self, delay_s: float) -> None:
        """Have a standby replay commits only *delay_s* seconds after they were made; 0: at once."""
        self.configure(recovery_min_apply_delay=f"{round(delay_s * 1000)}ms")

    def pause_replay(self) -> None:
        """Let a standby receive but show nothing new."""
        self.ask("select pg_wal_replay_pause()")
        _wait(lambda: self.ask("select pg_get_wal_replay_pause_state()") == "paused", f"{self.name} does not pause")

    def resume_replay(self) -> None:
        self.ask("select pg_wal_replay_resume()")

    def ask(self, sql: str, within_s: float = PATIENCE_S) -> str:
        """What psql prints for *sql*, as the superuser."""
        if self._process is None:
            raise EmbeddedError(f"{self.name} is not running")
        launch = self._process.launch
        words = ["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", os.fspath(launch.run_dir), "-p", str(self.port)]
        words += ["-U", SUPERUSER, "-d", "postgres"]
        psql = launch.binaries.path("psql")
        return launch.account.run([psql, *words], deadline=time.monotonic() + within_s, text=sql).strip()

    def _signal_all(self, postmaster: int, number: signal.Signals) -> None:
        for pid in [postmaster, *_children(postmaster)]:
            self._signal(pid, number)

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _children(parent: int) -> list[int]:
    shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout  # noqa: S607 - found on the PATH
    pairs = (line.split() for line in shown.splitlines())
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]


def _is_alive(pid: int | None) -> bool:
    """Whether it runs; one that has ended stays in the table until its supervisor has asked."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607 - found on the PATH
    return bool(shown.strip()) and not shown.startswith("Z")


def _wait(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{complaint} within {PATIENCE_S:g} s")
        time.sleep(POLL_S)


def _quoted(value: str) -> str:
    return value.replace("'", "''")
