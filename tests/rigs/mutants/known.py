"""The bugs that are planted, one at a time: each is one that a pool had, or that this one could have."""

from __future__ import annotations

from typing import Final

from tests.rigs.mutants.planting import Mutant

_ALL: Final = (
    Mutant(
        "lost in the instant of the grant",
        "asyncpg #464, #467; asyncio.wait_for before Python 3.12",
        "M1",
        "dbpool/leases.py",
        "if holder.place is WAITING or holder.place is HOLDING:  # else it was refused",
        "if holder.place is WAITING:",
    ),
    Mutant(
        "skipped finally",
        "psycopg #509, #1345; except Exception around an acquire",
        "M1",
        "dbpool/lease.py",
        "        except BaseException as error:\n            await self._leave(error)",
        "        except Exception as error:\n            await self._leave(error)",
    ),
    Mutant(
        "double release",
        "a caller that was refused gives back what it never had",
        "M1",
        "dbpool/leases.py",
        "if holder.place is WAITING or holder.place is HOLDING:  # else it was refused",
        "if True:",
    ),
    Mutant(
        "permit free before the connection is closed",
        "asyncpg's terminate() and expire_connections(): 6 connections of 2",
        "M2",
        "dbpool/leases.py",
        "                try:\n                    await connection.discard(self._settings.reset_timeout)\n"
        "                finally:\n                    self._end(holder, connection, reason)",
        "                self.gate.leave(holder)\n"
        "                await connection.discard(self._settings.reset_timeout)",
    ),
    Mutant(
        "zombie not counted",
        "asyncpg's pool, pgx #1859: who was cut off is forgotten while its backend lives",
        "M2",
        "dbpool/quarantine.py",
        "        if self._is_closed:\n            remains.close()",
        "        if True:\n            remains.close()",
    ),
    Mutant(
        "COMMIT's tag ignored",
        "asyncpg's Transaction: COMMIT answered with ROLLBACK counts as done",
        "M3",
        "dbpool/transaction.py",
        'if tag == "COMMIT":',
        "if True:",
        ("ledger", "tests/postgres/test_transactions.py"),
    ),
    Mutant(
        "unknown outcome told as done",
        "a COMMIT whose answer is lost",
        "M5",
        "dbpool/transaction.py",
        "            self._over(State.UNKNOWN)\n            self._connection.is_broken = True\n",
        "            self._over(State.COMMITTED)\n            self._connection.is_broken = True\n            return\n",
        ("ledger", "tests/postgres/test_commits.py"),
    ),
    Mutant(
        "stale transaction after a BEGIN cut short",
        "asyncpg's _top_xact, SQLAlchemy #13381: the next one is a savepoint in it",
        "M3",
        "dbpool/transaction.py",
        "            outer.remove(InnerRef(self))\n            if self.state is State.NEW:\n",
        "            if self.state is State.NEW:\n                return\n",
        ("sweep", "tests/postgres/test_transactions.py"),
    ),
    Mutant(
        "chunk noted before it is stored",
        "bulk work whose note of what is done is another transaction",
        "M4",
        "dbpool/bulk/jobs/ledger.py",
        'f"BEGIN; {enter}"',
        'f"{enter}; BEGIN"',
        ("ledger", "tests/bulk/test_jobs_killed.py"),
    ),
    Mutant(
        "deadline begun anew at each stage",
        "psycopg_pool and others: so long in line, and as long again for the connect",
        "M6",
        "dbpool/lease.py",
        "connection = await leases.obtain(holder, deadline, asked_at)",
        "connection = await leases.obtain(holder, loop.time() + self._timeout, asked_at)",
    ),
    Mutant(
        "timer acts late",
        "a time limit in line that was not stopped meets who holds by now",
        "M6",
        "dbpool/waiter.py",
        "        forget(self)\n        if not self.wakeup.done():  # else its task",
        "        if not self.wakeup.done():  # else its task",
    ),
    Mutant(
        "cancellation swallowed",
        "CPython #86296: a wait that ends in the instant of its cancellation",
        "M6",
        "dbpool/lease.py",
        "            await asyncio.wait([cleanup])  # not awaited",
        "            from contextlib import suppress\n"
        "            with suppress(asyncio.CancelledError):\n"
        "                await asyncio.wait([cleanup])  # not awaited",
    ),
    Mutant(
        "backoff without a bound",
        "a pool that waits for half a minute after the server is back",
        "M7",
        "dbpool/connecting.py",
        "LONGEST_BACKOFF_S = 1.0",
        "LONGEST_BACKOFF_S = 60.0",
    ),
    Mutant(
        "connections to a server that takes no writes are kept",
        "asyncpg's pool after a failover: each of them fails until it is too old",
        "M7",
        "dbpool/core/evictions.py",
        "        if now < self.next_at:\n            return False\n",
        "        return False\n",
        ("availability", "tests/availability/test_failover.py"),
    ),
    Mutant(
        "cancelling costs the line's length",
        "asyncpg's queue, newest first: a hundred thousand who leave take minutes",
        "M8",
        "dbpool/core/permits.py",
        "            del line.tickets[ticket]\n",
        "            line.tickets = OrderedDict((each, None) for each in line.tickets if each is not ticket)\n",
    ),
    Mutant(
        "lost wake-up",
        "permits that come by resize() wake nobody",
        "M9",
        "dbpool/gate.py",
        "            self._learner.resized()\n        self._grant_all()\n\n    def pause",
        "            self._learner.resized()\n\n    def pause",
    ),
    Mutant(
        "interrupted connection handed on",
        "SQLAlchemy #6652, asyncpg #1058: the next statement meets the last one's cancellation",
        "M10",
        "dbpool/leases.py",
        "return not owes_reset and connection.is_quiet",
        "return not owes_reset and not connection.is_closed()",
    ),
    Mutant(
        "no reset after SET",
        "psycopg_pool without reset=: the next caller has the last one's settings",
        "M10",
        "dbpool/leases.py",
        "owes_reset = self._resets_always if connection.keeps_session else not self._resets_never",
        "owes_reset = self._resets_always",
    ),
    Mutant(
        "temporary tables stay",
        "asyncpg's reset(): roles and temporary tables are the next caller's",
        "M10",
        "dbpool/connection.py",
        '"DISCARD SEQUENCES; DISCARD TEMP; "',
        '"DISCARD SEQUENCES; "',
        ("session", "tests/postgres/test_session_state.py"),
    ),
)
MUTANTS: Final = {mutant.name: mutant for mutant in _ALL}
