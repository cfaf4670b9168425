"""The operating-system user that the server runs as."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbpool.errors import EmbeddedError

# root has none of its own to offer: initdb looks its user up in passwd, so it must be one that is there
UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user that PostgreSQL accepts, which root is not."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this is not the user we are ourselves; only root can then become it."""
        return self.uid != os.geteuid()

    def run(self, command: Sequence[str | Path], *, deadline: float, text: str = "") -> str:
        """Run *command* as this user, with *text* on its stdin, and return its stdout.

        Raises:
            EmbeddedError: it failed or ran out of time; the message holds what it wrote to stderr.
            OSError: it cannot be executed by this user.
        """
        tool = Path(command[0]).name
        user, group = (self.uid, self.gid) if self.is_other else (None, None)
        groups: list[int] | None = [] if self.is_other else None
        patience = max(deadline - time.monotonic(), 0.001)
        try:
            done = subprocess.run(  # noqa: S603 - our own binaries, no shell
                [os.fspath(word) for word in command],
                input=text, capture_output=True, text=True, errors="replace", timeout=patience, check=False,
                cwd="/", env=environment(), user=user, group=group, extra_groups=groups,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"{tool} was not done after {patience:.1f} s: raise start_timeout.") from None
        if done.returncode != 0:
            raise EmbeddedError(f"{tool} failed (exit code {done.returncode}): {done.stderr.strip()}")
        return done.stdout

    def require_entry(self, path: Path, *, deadline: float) -> None:
        """Raise if this user may not enter the directories above *path*: PostgreSQL's own message would not say why."""
        if not self.is_other:
            return
        for directory in reversed(path.parents):
            if directory.is_dir() and not self._may("-x", directory, deadline):
                raise EmbeddedError(
                    f"{path}: the server runs as user {self.name!r}, who may not enter {directory}. "
                    f"Choose a place that it can reach, or do not run as root."
                )

    def may_write(self, directory: Path, *, deadline: float) -> bool:
        """Whether this user can create files in *directory*."""
        return self._may("-x", directory, deadline) and self._may("-w", directory, deadline)

    def _may(self, access: str, path: Path, deadline: float) -> bool:
        try:
            self.run(["test", access, path], deadline=deadline)
        except EmbeddedError:
            return False
        return True


def server_account() -> Account:
    """Return our own user, or for root an unprivileged one that already exists."""
    try:
        import pwd
    except ImportError:
        raise EmbeddedError("The embedded PostgreSQL needs Linux or macOS: set DATABASE_URL instead.") from None
    if os.geteuid() != 0:
        return Account(name=f"uid {os.geteuid()}", uid=os.geteuid(), gid=os.getegid())
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedError(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(UNPRIVILEGED)}.")


def environment() -> dict[str, str]:
    """Return what the server's programs may see of our environment: no PG* defaults, no secrets of ours."""
    passed = {name: os.environ[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **passed, "LC_ALL": "C"}
