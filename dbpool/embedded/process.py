"""A running server that cannot outlive the process that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from weakref import WeakSet

from dbpool.embedded.account import Account, environment
from dbpool.embedded.binaries import Binaries
from dbpool.errors import EmbeddedError

SUPERVISOR = Path(__file__).with_name("supervisor.py")
SUPERVISOR_PATIENCE_S = 25.0  # the sum of its own limits (ESCALATION, then removing), with a margin
ORPHAN_PATIENCE_S = 3.0
POLL_S = 0.005
LOG_LINES = 15

_lifelines: WeakSet[IO[bytes]] = WeakSet()


def _let_go_after_fork() -> None:
    # a forked child would hold the pipe open, and the server would wait for that child's end too
    for lifeline in list(_lifelines):
        lifeline.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_after_fork)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that one start of a server needs."""

    account: Account
    binaries: Binaries
    run_dir: Path
    data_dir: Path
    template: Path | None
    """What to copy to ``run_dir / "data"`` first; None if the data are kept."""
    settings: Mapping[str, str]
    hba: str

    def command(self) -> list[str]:
        words = [os.fspath(self.binaries.path("postgres")), "-D", os.fspath(self.data_dir)]
        for name, value in self.settings.items():
            words += ["-c", f"{name}={value}"]
        return words


class ServerProcess:
    """The supervisor of one server, held by a pipe: whatever closes the pipe ends the server."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.pid: int | None = None
        """The postmaster's, once it is ready."""
        self._owner_pid = os.getpid()
        words = [
            str(launch.account.uid), str(launch.account.gid), os.fspath(launch.run_dir),
            os.fspath(launch.template or ""), launch.hba, *launch.command(),
        ]  # fmt: skip
        # its own session: Ctrl-C in the terminal is for the owner, who may still need the server
        self._supervisor = subprocess.Popen(  # noqa: S603 - no shell
            [sys.executable, "-I", "-S", os.fspath(SUPERVISOR), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            cwd="/", env=environment(), start_new_session=True,
        )  # fmt: skip
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._lifeline, self._reports = self._supervisor.stdin, self._supervisor.stdout
        _lifelines.add(self._lifeline)
        os.set_blocking(self._reports.fileno(), False)

    def wait_ready(self, deadline: float) -> None:
        """Return once the server takes connections; raise with the end of its log if it does not."""
        while not self._find_ready():
            report = self._reports.read()  # None: nothing yet; empty: the supervisor is gone
            if report is not None:
                # it may have become ready, then ended; either way it is not there
                raise EmbeddedError(self._failure(report.decode(errors="replace").strip() or "the supervisor ended"))
            if time.monotonic() > deadline:
                raise EmbeddedError(self._failure("it was not ready in time: raise start_timeout"))
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Return once the server has ended and its run directory is gone; at the latest after half a minute.

        In a forked child it does nothing: the server is the parent's.
        """
        if os.getpid() != self._owner_pid:
            return
        with suppress(OSError):  # the supervisor may be gone already
            # a byte, since closing is not enough while a child forked by a C library holds a copy of the pipe
            self._lifeline.write(b".")
        self._lifeline.close()
        try:
            self._supervisor.wait(SUPERVISOR_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._reports.close()
        if self.launch.run_dir.exists():
            self._end_orphans()

    def _find_ready(self) -> bool:
        try:
            lines = (self.launch.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # a kept directory may hold the file of an earlier, killed server; the socket's directory is ours alone
        if len(lines) < 8 or lines[4] != os.fspath(self.launch.run_dir):
            return False
        self.pid = int(lines[0])
        return lines[7].strip() in ("ready", "standby")

    def _failure(self, report: str) -> str:
        try:
            lines = (self.launch.run_dir / "log").read_text(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            lines = []
        return "\n    ".join([f"The embedded PostgreSQL did not start: {report}. The end of its log:", *lines])

    def _end_orphans(self) -> None:
        """Do what the supervisor would have done, had nobody killed it."""
        group = self._supervisor.pid  # it began a session, so the server is in its process group and we are not
        for number in (signal.SIGQUIT, signal.SIGKILL):
            deadline = time.monotonic() + ORPHAN_PATIENCE_S
            with suppress(ProcessLookupError):
                os.killpg(group, number)
                while time.monotonic() < deadline:
                    os.killpg(group, 0)
                    time.sleep(POLL_S)
        shutil.rmtree(self.launch.run_dir, ignore_errors=True)
