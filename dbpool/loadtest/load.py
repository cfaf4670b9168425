"""What a point of a load test is to do: plain values, which also a worker process gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from dbpool.core.arrivals import Arrival
from dbpool.core.stages import Stage, shared
from dbpool.loadtest.recording.window import SECOND_NS
from dbpool.loadtest.scripts.sqltemplate import QueryMode

MAX_IN_FLIGHT: Final = 1000
TIMEOUT_S: Final = 30.0


class DriverName(StrEnum):
    """By which library the load goes."""

    DBPOOL = "dbpool"
    ASYNCPG = "asyncpg"
    ASYNCPG_CONNECT = "asyncpg-connect"
    PSYCOPG_POOL = "psycopg-pool"
    PGBENCH = "pgbench"
    NOOP = "noop"


POOLS: Final = (DriverName.DBPOOL, DriverName.ASYNCPG, DriverName.PSYCOPG_POOL)
"""Those that keep their connections."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the transactions that are mixed: a script's text, or ``module:callable`` of an async function."""

    name: str
    weight: int = 1
    script: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """What each transaction is; *defined* are variables by name."""

    parts: tuple[Part, ...]
    mode: QueryMode = QueryMode.PREPARED
    scale: int = 1
    seed: int = 1
    defined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes, and by what. The address may hold a password: it is in no message.

    Args:
        connections: the pool's size; of a driver without a pool nothing.
        min_connections: of them, those that are open before the load begins; None: all. With 0, a pool opens them as
            they are needed, and one that is refused any goes on with what it has.
        gate: callers of the pool that may have a connection at the same time; None: as many as there are connections.
        application_name: tells our sessions from those of others.
    """

    dsn: str = field(repr=False)
    driver: DriverName
    connections: int
    gate: int | None = None
    application_name: str = "dbpool-loadtest"
    min_connections: int | None = None
    connect_timeout_s: float = 10.0

    @property
    def first_connections(self) -> int:
        """Those that are open before the load begins."""
        return self.connections if self.min_connections is None else self.min_connections


@dataclass(frozen=True, slots=True)
class Load:
    """How many transactions, and when: *clients* that go one after the other, or *stages* of arrivals a second.

    Args:
        stages: arrivals of the window; empty: the load is closed.
        client_stages: of a closed load, how many of its clients there are at a time; empty: always all.
        warmup_rate: arrivals a second during the warm-up; None: the first level of the stages.
        max_in_flight: arrivals beyond it are dropped.
        limit_s: a longer response is late.
        skip_after_s: an arrival that had to wait for its connection for longer is skipped; None: ``limit_s``.
        drain_s: how much longer than its time-out what is under way at the end of a ``pgbench`` may go on.
        max_tries: of a transaction that ends with a serialization failure or a deadlock; 0: until its time-out, or its
            latency limit.
    """

    clients: int = 1
    stages: tuple[Stage, ...] = ()
    client_stages: tuple[Stage, ...] = ()
    warmup_rate: float | None = None
    arrival: Arrival = Arrival.POISSON
    warmup_s: float = 3.0
    time_s: float = 10.0
    timeout_s: float = TIMEOUT_S
    limit_s: float | None = None
    skip_after_s: float | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    drain_s: float = 10.0
    max_tries: int = 1

    @property
    def is_open(self) -> bool:
        return bool(self.stages)

    @property
    def mean_rate(self) -> float | None:
        """Arrivals a second, on average; None of a closed load."""
        return sum(stage.area for stage in self.stages) / self.time_s if self.stages else None

    @property
    def timeout_ns(self) -> int:
        return round(self.timeout_s * SECOND_NS)

    @property
    def limit_ns(self) -> int | None:
        return None if self.limit_s is None else round(self.limit_s * SECOND_NS)

    @property
    def skip_after_ns(self) -> int | None:
        after_s = self.limit_s if self.skip_after_s is None else self.skip_after_s
        return None if after_s is None else round(after_s * SECOND_NS)

    @property
    def whole(self) -> tuple[Stage, ...]:
        """The stages, behind that of the warm-up."""
        if not self.stages or not self.warmup_s:
            return self.stages
        level = self.stages[0].start if self.warmup_rate is None else self.warmup_rate
        return (Stage(self.warmup_s, level, level), *self.stages)

    def by(self, driver: DriverName, connections: int) -> Load:
        """The same by *driver*: what connects for each transaction has no pool that would keep it to *connections*."""
        if driver is not DriverName.ASYNCPG_CONNECT or not self.is_open:
            return self
        return replace(self, max_in_flight=min(self.max_in_flight, connections))

    @property
    def whole_clients(self) -> tuple[Stage, ...]:
        """The stages of clients, behind a warm-up with as many as they begin with."""
        if not self.client_stages or not self.warmup_s:
            return self.client_stages
        level = self.client_stages[0].start
        return (Stage(self.warmup_s, level, level), *self.client_stages)

    @property
    def most_clients(self) -> int:
        """Transactions that may be under way at the same time."""
        return self.max_in_flight if self.is_open else self.clients


@dataclass(frozen=True, slots=True)
class Share:
    """What worker *number* of *workers* does of a point; *clients* are numbered from *first_client*."""

    target: Target
    load: Load
    workload: Workload
    number: int = 0
    workers: int = 1
    first_client: int = 0


def shares_of(target: Target, load: Load, workload: Workload, workers: int) -> list[Share]:
    """The shares of *workers* processes, together exactly *load* and *target*.

    A worker without a client, or without a connection, could do nothing: there are as many as all have one.
    """
    pooled = target.driver not in (DriverName.ASYNCPG_CONNECT, DriverName.NOOP)
    workers = max(1, min([workers, load.most_clients, *([target.connections] if pooled else [])]))
    stages = tuple(shared(load.stages, workers))
    warmup_rate = None if load.warmup_rate is None else load.warmup_rate / workers
    shares, first = [], 0
    for number in range(workers):

        def part(whole: int, number: int = number) -> int:
            return whole // workers + (number < whole % workers)

        gate = None if target.gate is None else max(1, part(target.gate))
        own = replace(
            load,
            clients=part(load.clients) or 1,
            stages=stages,
            warmup_rate=warmup_rate,
            max_in_flight=max(1, part(load.max_in_flight)),
        )
        least = None if target.min_connections is None else part(target.min_connections)
        own_target = replace(target, connections=max(1, part(target.connections)), gate=gate, min_connections=least)
        shares.append(Share(own_target, own, workload, number, workers, first))
        first += own.most_clients
    return shares
