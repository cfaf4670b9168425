"""What to know before a load's figures are used, as far as it shows before the load begins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, TypeAlias

from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.pooler import PoolerLimits
from dbpool.wording import counted

Warned: TypeAlias = tuple[str, str]
"""A code, and a sentence that says what it means for the figures."""
STEP_S: Final = 0.5  # what adjusting a clock gradually does not reach in an hour


def preflight(
    limits: Limits,
    settings: Mapping[str, str | None],
    *,
    mode: QueryMode,
    pooler: PoolerLimits | None = None,
    cores: int | None = None,
) -> list[Warned]:
    """The warnings; empty for a server that nobody else uses, set up for production, on a machine of its own.

    Args:
        settings: as ``read_settings`` has them.
        mode: how the load's statements are sent.
        pooler: what PgBouncer's console says; None: there is none, or its address was not given.
        cores: of the server, if it is here.
    """
    return [*_of_neighbours(limits, cores), *_of_pooler(limits, pooler, mode), *_of_settings(settings)]


def _of_neighbours(limits: Limits, cores: int | None) -> list[Warned]:
    found = []
    if limits.others:
        what = f"{counted(limits.others, 'session')} of others {'is' if limits.others == 1 else 'are'} on this server"
        found.append(("foreign_sessions", f"{what}: what they do is in the figures, and the load slows them down"))
    if limits.is_local:
        shared = "the same processors" if cores is None else f"the same {counted(cores, 'processor')}"
        found.append(
            ("same_machine", f"the load and the server share {shared}: elsewhere the server alone would do more")
        )
    return found


def _of_pooler(limits: Limits, pooler: PoolerLimits | None, mode: QueryMode) -> list[Warned]:
    if limits.is_pooled and pooler is None:
        return [
            (
                "pooler_unseen",
                "a pooler is in between, and its limits and lines go unseen: name its console by --pgbouncer-admin",
            )
        ]
    if pooler is None or mode is not QueryMode.PREPARED or pooler.pool_mode == "session":
        return []
    if pooler.max_prepared_statements:
        return []
    return [
        (
            "pooler_prepared",
            f"PgBouncer {pooler.version} keeps no prepared statements in pool_mode {pooler.pool_mode}: they will fail "
            f"or be another client's; use -M extended or -M simple, or set its max_prepared_statements",
        )
    ]


def _of_settings(settings: Mapping[str, str | None]) -> list[Warned]:
    found = []
    if settings.get("fsync") == "off":
        found.append(("fsync_off", "fsync is off: a server that keeps its data after a power cut writes more slowly"))
    if (timeout := settings.get("statement_timeout")) not in (None, "0"):
        found.append(
            ("statement_timeout", f"the server ends statements after {timeout}: slow ones count as errors (57014)")
        )
    return found


class ClockWatch:
    """Whether somebody sets the system's clock while it is watched; durations are by another one."""

    def __init__(self) -> None:
        self._began_s = self._offset_s()

    def warnings(self) -> list[Warned]:
        """The warning, if the clock was set since."""
        return clock_warnings(self._offset_s() - self._began_s)

    def _offset_s(self) -> float:
        return time.time() - time.monotonic()


def clock_warnings(step_s: float) -> list[Warned]:
    """What a clock that was set by *step_s* meanwhile means."""
    if abs(step_s) < STEP_S:
        return []
    way = "forward" if step_s > 0 else "back"
    return [
        (
            "clock_step",
            f"the clock of this machine was set {way} by {abs(step_s):.1f} s during the run: durations are right, "
            f"times of day are not",
        )
    ]
