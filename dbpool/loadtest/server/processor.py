"""The processor time of a server on this machine."""

from __future__ import annotations

from time import monotonic
from typing import Final

NAMES: Final = ("postgres", "postmaster")  # of a server's processes


class ServerProcessor:
    """Reads the processor time of all processes of one server; knows nothing of one that is elsewhere.

    Args:
        is_local: a backend's process id is one of this machine.
    """

    def __init__(self, *, is_local: bool) -> None:
        self._is_local = is_local
        self._used_s: dict[int, float] = {}
        self._at: float | None = None

    def forget(self) -> None:
        """There is nothing to compare with any more."""
        self._at = None

    def used_since(self, backend_pid: int) -> float | None:
        """Processors used since the last call, 1.0 for one; None: not known, or nothing to compare with yet.

        Args:
            backend_pid: of any session of the server.
        """
        if not self._is_local:
            return None
        used_s, now = self._read(backend_pid), monotonic()
        before_s, before_at = self._used_s, self._at
        self._used_s, self._at = used_s or {}, None if used_s is None else now
        if used_s is None or before_at is None or now <= before_at:
            return None
        # a process that began meanwhile used all of its time meanwhile; one that ended took what it used with it
        rise_s = sum(seconds - before_s.get(pid, 0.0) for pid, seconds in used_s.items())
        return max(0.0, rise_s) / (now - before_at)

    def _read(self, backend_pid: int) -> dict[int, float] | None:
        """Seconds by process; None where these are not the processes of a server."""
        try:
            import psutil
        except ImportError:
            return None
        try:
            backend = psutil.Process(backend_pid)
            server = backend.parent()
            if server is None or not any(name in backend.name() for name in NAMES):
                return None
            processes = [server, *server.children()]
        except (psutil.Error, ValueError):  # a pooler makes process ids up, negative ones too
            return None
        used_s: dict[int, float] = {}
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            used_s[process.pid] = times.user + times.system
        return used_s
