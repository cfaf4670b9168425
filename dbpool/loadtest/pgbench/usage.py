"""What a process of another program uses."""

from __future__ import annotations

from typing import Any

from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.generating.health import Health
from dbpool.loadtest.recording.window import SECOND_NS


class Usage:
    """Looks at process *pid* from time to time; without psutil it knows nothing."""

    def __init__(self, pid: int) -> None:
        self._process: Any = None
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None
        self._rss = 0
        try:
            import psutil

            self._process = psutil.Process(pid)
        except ImportError:
            pass
        except psutil.Error:  # it has ended
            pass

    def look(self, *, is_warmup: bool) -> None:
        """Look now."""
        if self._process is None:
            return
        import psutil

        try:
            times, self._rss = self._process.cpu_times(), max(self._rss, self._process.memory_info().rss)
        except psutil.Error:
            return
        self._last = now_ns(), times.user + times.system
        if is_warmup or self._first is None:
            self._first = self._last

    def health(self, threads: int, *, done: int) -> Health:
        """What was seen since the end of the warm-up, the processor time as an average of its *threads*."""
        health = Health(done=done, rss_mb=self._rss / (1 << 20) if self._rss else None)
        if self._first is not None and self._last is not None and self._last[0] > self._first[0]:
            seconds = (self._last[0] - self._first[0]) / SECOND_NS
            health.cpu = (self._last[1] - self._first[1]) / seconds / threads
        return health
