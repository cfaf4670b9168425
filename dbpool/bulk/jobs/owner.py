"""The process that runs a job, as others on its machine can recognise it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A process; *mark* is "" where the system does not tell enough to recognise it."""

    pid: int
    host: str
    mark: str

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine, in this container."""
        return self.mark != _UNKNOWN and self.mark.split()[:2] == _machine().split()

    @property
    def is_dead(self) -> bool:
        """Whether it certainly runs no more; False means only "not known"."""
        return self.is_here and self.mark != _mark(self.pid)


def this_process() -> Process:
    """The one that asks."""
    pid = os.getpid()
    return Process(pid, socket.gethostname(), _mark(pid))


def _mark(pid: int) -> str:
    """The machine since its last start, its space of process ids, and when this process was started."""
    machine = _machine()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return f"{machine} gone" if machine else _UNKNOWN
    is_zombie = fields[0] in ("Z", "X")  # its sockets are closed, only its parent has not asked yet
    return f"{machine} gone" if is_zombie else f"{machine} {pid}@{fields[19]}"


@lru_cache(1)
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return _UNKNOWN
