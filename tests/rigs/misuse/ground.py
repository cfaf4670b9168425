"""The roles that pools come as, with their schemas, and a witness that sees what the server sees of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.rigs.misuse.cases import Case
from tests.rigs.misuse.kinds import CROWD, KINDS
from tests.rigs.rigserver import PASSWORD, RigServer

PATIENCE_S = 5.0
TABLES = "create table written (number int); create table ordinary (number int)"
SESSIONS = """
select usename, count(*), count(*) filter (where state like 'idle in transaction%%') from pg_stat_activity
where usename = any(%s) and backend_type = 'client backend' group by usename
"""


class Ground:
    """A server with a role for each kind of pool."""

    def __init__(self, server: RigServer, witness: Any) -> None:  # noqa: ANN401 - psycopg's, whatever its rows
        self.dsn = server.dsn
        self._witness = witness
        for kind in KINDS:
            witness.execute(f"create role {kind.name} login password '{PASSWORD}' connection limit {kind.bound}")
            witness.execute(f"alter role {kind.name} set deadlock_timeout = '2ms'")

    def lay(self, cases: Sequence[Case]) -> None:
        """Make anew what faults need; types and tables that were altered too often cannot be altered again."""
        for kind in KINDS:
            setups = dict.fromkeys(case.setup for case in cases if case.kind is kind and case.setup)
            self._witness.execute(f"drop schema if exists {kind.name} cascade")
            self._witness.execute(f"create schema authorization {kind.name}")
            self._witness.execute(f"set role {kind.name}; set search_path = {kind.name}")
            self._witness.execute("; ".join([TABLES, *setups]))
            self._witness.execute("reset all; reset role")
        self._witness.execute("drop schema if exists hostile cascade")
        self._witness.execute(f"create schema hostile authorization {CROWD.name}")

    async def wrong(self, most: Mapping[str, int]) -> list[str]:
        """Roles that have more sessions than *most* says, or idle in a transaction, and go on so."""
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            rows = self._witness.execute(SESSIONS, (list(most),)).fetchall()
            found = [
                f"{role} has {sessions} sessions, of which {in_transaction} are idle in a transaction; "
                f"{most[role]} may be"
                for role, sessions, in_transaction in rows
                if sessions > most[role] or in_transaction
            ]
            if not found or time.monotonic() > ends_at:
                return found
            await asyncio.sleep(0.01)


@contextmanager
def prepared(server: RigServer) -> Iterator[Ground]:
    with server.witness() as witness:
        yield Ground(server, witness)
