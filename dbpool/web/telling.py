"""What happened to a pool, a sentence each."""

from __future__ import annotations

from dbpool.events import (
    Closed,
    Closing,
    ConnectFailed,
    ConnectionClosed,
    ConnectionOpened,
    DeadlockFound,
    Draining,
    Event,
    LeakReturned,
    LeakSuspected,
    LeaseReclaimed,
    OutageEnded,
    Paused,
    PoolerFound,
    Quarantined,
    QuarantineEnded,
    Resized,
    Resumed,
)
from dbpool.wording import counted, without_addresses


def in_words(event: Event) -> str:  # noqa: C901 - one line each
    """A sentence without its full stop; no server's address, which may have a password, is in it."""
    match event:
        case ConnectionOpened(took_s):
            return f"a connection was opened in {seconds(took_s)}"
        case PoolerFound(route=route):
            return f"connections go through {route}"
        case ConnectionClosed(reason):
            return f"a connection was closed: {reason.value}"
        case ConnectFailed(error, failures):
            return f"connecting failed, {counted(failures, 'time')} in a row: {without_addresses(error)}"
        case OutageEnded(failures, lasted_s):
            return f"connecting works again, after {counted(failures, 'failure')} in {seconds(lasted_s)}"
        case Quarantined(zombies):
            return f"a connection was cut off and its backend may live on ({zombies} such)"
        case QuarantineEnded(is_gone):
            return "a backend that was cut off has ended" if is_gone else "time for a backend that was cut off is over"
        case LeakSuspected(holder):
            return f"a connection is held for long: {holder}"
        case LeakReturned(holder):
            return f"a connection that was held for long came back: {holder}"
        case LeaseReclaimed(where):
            return f"a connection that nobody had any more was taken back: it was asked for at {where}"
        case DeadlockFound(message):
            return message.split("\n")[0]
        case Paused():
            return "the pool was paused"
        case Resumed():
            return "the pool was resumed"
        case Resized(before, now):
            return f"the pool was resized from {before} to {counted(now, 'connection')}"
        case Draining(connections):
            return f"the pool is being drained: {counted(connections, 'connection')} will be replaced"
        case Closing():
            return "the pool is being closed"
        case Closed(cut_off):
            return "the pool is closed" + (f", {counted(len(cut_off), 'lease')} cut off" if cut_off else "")
        case _:
            return str(event)


def seconds(value: float) -> str:
    """A time as people say it: ``350 µs``, ``12 ms``, ``3.2 s``, ``4 min 5 s``, ``2 h 10 min``."""
    if value == 0:
        return "0 s"
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{value * 1000:.3g} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
