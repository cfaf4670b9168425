"""Does a caller find what the one before it left in the session: goal M10."""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from dbpool import DatabasePool, DbPoolError
from dbpool.embedded import EmbeddedPostgres
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.session.audit import Auditor
from tests.rigs.session.kinds import BY_NAME, KINDS, LAST, SETUP, Kind, Trap
from tests.rigs.session.pools import OURS, Lender, OfDbpool, Opens, peers

MOST_AT_ONCE = 6  # kinds that one caller leaves together


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Hand one connection on again and again, by each pool: every kind alone, then random ones together.

    ``figures`` has for each pool how many of the kinds leak: ``leaks_dbpool``, ``leaks_asyncpg_pool``, and
    ``leaks_psycopg_pool`` if that is installed; ``kinds`` is how many there are.
    """
    began = time.monotonic()
    findings = Findings("session", figures={"kinds": len(KINDS)})
    with EmbeddedPostgres() as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # asyncpg warns of listeners left behind; raised, that costs its pool a place
        replay = f"python -m tests.rigs session --seconds {seconds:g} --seed {seed}"
        leaks = asyncio.run(_run(server.dsn(), began + seconds, seed, say, findings))
    findings.violations += [
        Violation("M10", f"a caller found of the one before it: {kind}", replay) for kind in sorted(leaks)
    ]
    findings.took_s = time.monotonic() - began
    return findings


async def _run(dsn: str, until: float, seed: int, say: Say, findings: Findings) -> set[str]:
    connection = await asyncpg.connect(dsn)
    await connection.execute(SETUP)
    await connection.close()
    for name, opens in peers().items():
        of_peer = await _leaks_of(opens, dsn, findings)
        findings.figures[f"leaks_{name}"] = len(of_peer)
        say(f"{name}: {len(of_peer)} of {len(KINDS)} kinds leak: {', '.join(sorted(of_peer)) or 'none'}")
    leaks: set[str] = set()
    for reset, opens in OURS.items():
        leaks |= await _leaks_of(opens, dsn, findings)
        rest = list(OURS)[list(OURS).index(reset) :]
        share = max(1.0, (until - time.monotonic()) / len(rest))
        leaks |= await _mix(opens, dsn, random.Random(f"{seed} {reset}"), time.monotonic() + share, findings)
        say(f"dbpool, reset={reset!r}: {findings.done['hand-offs']} hand-offs, {len(leaks)} kinds leak")
    findings.figures["leaks_dbpool"] = len(leaks)
    return leaks


async def _leaks_of(opens: Opens, dsn: str, findings: Findings) -> set[str]:
    """Of every kind alone."""
    leaks: set[str] = set()
    async with opens(dsn) as lender:
        auditor = await _learnt(lender)
        for kind in KINDS:
            leaks |= await _hand_on(lender, auditor, [kind], findings)
    return leaks


async def _mix(opens: Opens, dsn: str, rng: random.Random, until: float, findings: Findings) -> set[str]:
    leaks: set[str] = set()
    async with opens(dsn) as lender:
        assert isinstance(lender, OfDbpool)
        auditor = await _learnt(lender)
        while time.monotonic() < until:
            kinds = rng.sample(KINDS, rng.randint(1, MOST_AT_ONCE))
            kinds.sort(key=lambda kind: kind.name in LAST)
            way = rng.choice([_hand_on, _by_one_shots, _cut_short])
            leaks |= await way(lender, auditor, kinds, findings)
    return leaks


async def _learnt(lender: Lender) -> Auditor:
    auditor = Auditor()
    async with lender.lend() as hand:
        await auditor.learn(hand)
    await lender.renew()
    return auditor


async def _hand_on(lender: Lender, auditor: Auditor, kinds: Sequence[Kind], findings: Findings) -> set[str]:
    """Somebody waits in line already, and gets the connection from who leaves those kinds behind."""
    trap = Trap()
    async with lender.lend() as hand:
        next_one = asyncio.create_task(_audit(lender, auditor, trap, findings))
        await asyncio.sleep(0)
        for kind in kinds:
            with suppress(Exception):  # what was left before may be in the way of it, as a role is
                await kind.make(hand, trap)
                findings.done[f"left: {kind.name}"] += 1
    return await next_one


async def _by_one_shots(lender: OfDbpool, auditor: Auditor, kinds: Sequence[Kind], findings: Findings) -> set[str]:
    """By single statements of the pool's own, or in a transaction that is stored; not all of them are taken."""
    trap = Trap()
    for kind in kinds:
        if not kind.sql:
            continue
        with suppress(DbPoolError, asyncpg.PostgresError):
            if len(kind.name) % 2:
                await lender.db.fetch(kind.sql)
            else:
                async with lender.db.transaction() as tx:
                    await tx.execute(kind.sql)
            findings.done[f"left: {kind.name}"] += 1
        found = await _audit(lender, auditor, trap, findings)
        if found:
            return found
    return set()


async def _cut_short(lender: OfDbpool, auditor: Auditor, kinds: Sequence[Kind], findings: Findings) -> set[str]:
    """Who leaves them is cancelled, in a statement."""
    trap = Trap()

    async def leave(db: DatabasePool) -> None:
        async with lender.lend() as hand:
            for kind in kinds:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, DbPoolError):
                    await kind.make(hand, trap)
                    findings.done[f"left: {kind.name}"] += 1
            ready.set()
            await hand.run("select pg_sleep(30)")

    ready = asyncio.Event()
    leaving = asyncio.create_task(leave(lender.db))
    ended = asyncio.create_task(ready.wait())
    await asyncio.wait([leaving, ended], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    ended.cancel()
    await asyncio.gather(leaving, ended, return_exceptions=True)
    findings.faults[6] += 1
    return await _audit(lender, auditor, trap, findings)


async def _audit(lender: Lender, auditor: Auditor, trap: Trap, findings: Findings) -> set[str]:
    async with lender.lend() as hand:
        found = await auditor.found(hand, trap)
    findings.done["hand-offs"] += 1
    findings.faults[56] += 1
    if found:
        await lender.renew()
    return found & BY_NAME.keys() or found
