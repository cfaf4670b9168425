"""A process that ends the server when the process that wanted it is gone, however it went.

A script that imports nothing of this package: it is root for its first lines when its owner is. It holds the reading
end of a pipe, its stdin; the owner holds the only writing end, so the owner's death, even by SIGKILL, ends the pipe.
It makes the run directory itself, so that at no moment is there one which nobody would remove.

Usage: supervisor.py UID GID RUN_DIR TEMPLATE HBA COMMAND...
    RUN_DIR: made here with mode 0700, for socket, log and throw-away data; removed at the end.
    TEMPLATE: data directory to copy to RUN_DIR/data; empty if the data are kept elsewhere.
    HBA: the text of RUN_DIR/pg_hba.conf.
On stdout: a line when the server has not started or has ended; its log stays until the owner lets go.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

OWNER = 0  # stdin
# a fast shutdown writes a checkpoint, which on a slow disk takes seconds; then without; then without asking
ESCALATION = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 4.0), (signal.SIGKILL, 2.0))


def main() -> None:
    """Run the server until its owner lets go."""
    uid, gid, path, template, hba, *command = sys.argv[1:]
    become(int(uid), int(gid))
    woken_by = catch_signals()
    run_dir = Path(path)
    try:
        run_dir.mkdir(mode=0o700)
    except OSError as error:
        say(f"cannot make the run directory: {error}")
        return
    server: subprocess.Popen[bytes] | None = None
    try:
        try:
            server = start(run_dir, template, hba, command)
        except (OSError, subprocess.CalledProcessError) as error:
            say(f"cannot start the server: {error}")
        wait_for_owner(server, woken_by)
    finally:
        if server is not None:
            end(server)
        remove(run_dir)


def become(uid: int, gid: int) -> None:
    """Give up being root for good."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)


def catch_signals() -> int:
    """Return a descriptor that becomes readable, with the signal's number, at each signal that matters here."""
    woken_by, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return woken_by


def start(run_dir: Path, template: str, hba: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Fill the run directory, then start the server in it."""
    (run_dir / "pg_hba.conf").write_text(hba)
    with (run_dir / "log").open("ab") as log:
        if template:
            copy = ["cp", "-Rp", f"{template}/.", str(run_dir / "data")]
            subprocess.run(copy, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - no shell
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - no shell


def wait_for_owner(server: subprocess.Popen[bytes] | None, woken_by: int) -> None:
    """Return when the owner wrote, closed the pipe or died, or when we are told to terminate."""
    while True:
        readable, _, _ = select.select([OWNER, woken_by], [], [])
        if OWNER in readable or any(number != signal.SIGCHLD for number in os.read(woken_by, 64)):
            return
        if server is not None and server.poll() is not None:
            say(f"the server ended with exit code {server.returncode}")


def end(server: subprocess.Popen[bytes]) -> None:
    """Stop the server, each time less politely."""
    for number, patience in ESCALATION:
        server.send_signal(number)
        try:
            server.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return


def remove(run_dir: Path) -> None:
    """Remove the run directory, and the throw-away data in it."""
    for _ in range(50):  # backends of a killed server may write for another moment
        shutil.rmtree(run_dir, ignore_errors=True)
        if not run_dir.exists():
            return
        time.sleep(0.1)


def say(line: str) -> None:
    """Tell the owner, if there still is one."""
    try:
        os.write(1, f"{line}\n".encode())
    except OSError:
        pass  # nobody is there to listen any more; cleaning up matters more


if __name__ == "__main__":
    main()
