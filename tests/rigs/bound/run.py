"""Does the server ever see more sessions than the pool may have: goal M2.

The oracle is a role that may have as many: the server refuses one more, exactly, however short it is there.
"""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from contextlib import suppress

import asyncpg

from dbpool.embedded import EmbeddedPostgres
from dbpool.testing.addresses import dsn_with
from dbpool.testing.proxying.messages import Do, Message, Rule
from dbpool.testing.proxying.proxy import proxy_before
from dbpool.testing.proxying.session import Session
from tests.rigs.bound.pools import BOUND, Opens, Stormed, pools
from tests.rigs.findings import Findings, Say, Violation

CALLERS = 12  # at once
MOST_PATIENT_S = 0.5
SIZES = (1, 3, *[BOUND] * 8)
STATEMENTS = (
    "select 1",
    "select pg_sleep(0.02)",
    "select count(*) from generate_series(1, 200000)",
    "select pg_sleep(1)",  # which a backend whose client is gone sleeps to its end
    "select pg_sleep(1)",
    "select repeat('x', 200) from generate_series(1, 5000)",
    "begin",
    "set work_mem = '65kB'",
)
LEAVE_S = 10.0  # for the sessions of a pool that is closed
END_ALL = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bounded'"
KILL = (
    "select pg_terminate_backend(pid) from (select pid from pg_stat_activity where usename = 'bounded'"
    " order by random() limit 1) as one"
)


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Storm each pool for its share of *seconds*; dbpool's is half of it.

    ``figures`` has for each how often the server refused it a connection: ``refusals_dbpool``,
    ``refusals_asyncpg_pool``, and ``refusals_psycopg_pool`` if that is installed.
    """
    began = time.monotonic()
    findings = Findings("bound")
    with EmbeddedPostgres(listen=True) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(_run(server.dsn(), seconds, seed, say, findings))
    findings.took_s = time.monotonic() - began
    replay = f"python -m tests.rigs bound --seconds {seconds:g} --seed {seed}"
    if findings.figures["refusals_dbpool"]:
        text = f"the server refused {findings.figures['refusals_dbpool']} connections beyond the pool's bound"
        findings.violations.append(Violation("M2", text, replay))
    return findings


async def _run(dsn: str, seconds: float, seed: int, say: Say, findings: Findings) -> None:
    witness = await asyncpg.connect(dsn)
    await witness.execute(f"create role bounded login password 'pw' connection limit {BOUND}")
    mine = dsn_with(dsn, user="bounded", password="pw")
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # a peer's own, of connections that were ended
    for name, opens in pools().items():
        share = seconds / 2 if name == "dbpool" else seconds / 2 / (len(pools()) - 1)
        refused = await _storm(opens, mine, witness, share, random.Random(f"{seed} {name}"), findings)
        findings.figures[f"refusals_{name}"] = refused
        say(f"{name}: refused {refused} connections by a role that may have {BOUND}")
        ends_at = time.monotonic() + LEAVE_S
        while await witness.fetchval("select count(*) from pg_stat_activity where usename = 'bounded'"):
            if time.monotonic() > ends_at:  # of a peer that waits for ever for an answer that was cut off
                await witness.execute(END_ALL)
            await asyncio.sleep(0.01)
    await witness.close()


async def _storm(
    opens: Opens,
    dsn: str,
    witness: asyncpg.Connection[asyncpg.Record],
    seconds: float,
    rng: random.Random,
    findings: Findings,
) -> int:
    counts = findings if opens is pools()["dbpool"] else Findings("a peer's")
    async with proxy_before(dsn) as proxy:
        async with opens(proxy.dsn(dsn)) as pool:
            proxy.rule = _slow_to_begin(rng, counts)
            until = time.monotonic() + seconds
            callers = [asyncio.create_task(_call(pool, rng, until, counts)) for _ in range(CALLERS)]
            while time.monotonic() < until:
                await witness.execute(KILL)
                counts.faults[24] += 1
                pool.resize(rng.choice(SIZES))
                counts.done["resizes"] += 1
                await asyncio.sleep(rng.random() * 0.4)
            pool.resize(BOUND)
            await asyncio.wait(callers, timeout=30.0)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            counts.done["backends that outlived quarantine_timeout"] += pool.outlived
        proxy.resume()
        return pool.refused


async def _call(pool: Stormed, rng: random.Random, until: float, findings: Findings) -> None:
    """Again and again, mostly cut short: by a cancellation, or by a time limit."""
    while time.monotonic() < until:
        using = asyncio.create_task(pool.use(rng.choice(STATEMENTS), cut=rng.random() < 0.4))
        await asyncio.wait([using], timeout=rng.random() * MOST_PATIENT_S)
        if using.cancel():
            findings.faults[6] += 1
        with suppress(Exception, asyncio.CancelledError):
            await using
            findings.done["statements answered"] += 1
        findings.done["calls"] += 1


def _slow_to_begin(rng: random.Random, findings: Findings) -> Rule:
    """Some sessions are told so late that they may begin that their connect is given up."""
    met: set[Session] = set()

    def rule(message: Message) -> Do:
        if message.kind != "Z" or message.session in met:
            return Do.PASS
        met.add(message.session)
        if rng.random() < 0.9:
            return Do.PASS
        findings.faults[4] += 1
        asyncio.get_running_loop().call_later(0.5, message.session.go_on.set)
        return Do.STALL

    return rule
