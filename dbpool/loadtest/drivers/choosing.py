"""From a driver's name to the driver."""

from __future__ import annotations

from dbpool.loadtest.drivers.noop import NoopDriver
from dbpool.loadtest.drivers.protocol import Driver
from dbpool.loadtest.load import DriverName, Target
from dbpool.loadtest.scripts.sqltemplate import QueryMode


def make_driver(target: Target, mode: QueryMode) -> Driver:
    """The driver that *target* names; it is not open yet.

    Raises:
        ImportError: psycopg is not installed.
    """
    match target.driver:
        case DriverName.NOOP:
            return NoopDriver()
        case DriverName.DBPOOL:
            from dbpool.loadtest.drivers.pooled import PooledDriver

            return PooledDriver(target, mode)
        case DriverName.ASYNCPG | DriverName.ASYNCPG_CONNECT:
            from dbpool.loadtest.drivers.plain import AsyncpgConnectDriver, AsyncpgDriver

            return (AsyncpgDriver if target.driver is DriverName.ASYNCPG else AsyncpgConnectDriver)(target, mode)
        case DriverName.PSYCOPG_POOL:
            try:
                from dbpool.loadtest.drivers.psycopgpool import PsycopgDriver
            except ImportError:
                raise ImportError("--driver psycopg-pool needs psycopg: pip install 'psycopg[binary,pool]'") from None
            return PsycopgDriver(target, mode)
        case DriverName.PGBENCH:
            raise AssertionError("pgbench is a program of its own, which no worker runs")
