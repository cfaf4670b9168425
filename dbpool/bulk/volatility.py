"""What of a statement may give something else each time it is evaluated, so that a batch must not evaluate it once."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.connection import PooledConnection
from dbpool.core.planshape import Plan, called, cast_to, operators, samples_at_random

# Of what a plan's expressions name. The plan tells no implicit cast and no check of a domain's, so those that the
# database has count where they can be met.
_VOLATILE = """
WITH volatile AS (SELECT oid, proname FROM pg_catalog.pg_proc WHERE provolatile = 'v')
SELECT proname || '()' FROM volatile WHERE proname = ANY ($1::text[]::name[])
UNION ALL
SELECT a.aggfnoid::regproc || '()' FROM pg_catalog.pg_aggregate a
  JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid AND p.proname = ANY ($1::text[]::name[])
  JOIN volatile v ON v.oid IN (a.aggtransfn, a.aggfinalfn)
UNION ALL
SELECT 'the operator ' || o.oprname FROM pg_catalog.pg_operator o JOIN volatile v ON v.oid = o.oprcode
 WHERE o.oprname = ANY ($2::text[]::name[])
UNION ALL
SELECT 'the cast to ' || t.typname FROM pg_catalog.pg_cast c JOIN volatile v ON v.oid = c.castfunc
  JOIN pg_catalog.pg_type t ON t.oid = c.casttarget WHERE c.castcontext = 'i' OR t.typname = ANY ($3::text[]::name[])
UNION ALL
SELECT 'a check of the domain ' || t.typname FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_constraint c ON c.contypid = t.oid
 WHERE t.typname = ANY ($3::text[]::name[]) AND EXISTS (
    SELECT FROM regexp_matches(pg_catalog.pg_get_constraintdef(c.oid), '([[:alnum:]_$]+)"?\\(', 'g') AS called
      JOIN volatile v ON v.proname = called[1])
"""


async def volatile_in(connection: PooledConnection, plans: Sequence[Plan]) -> str:
    """What in *plans*, which are verbose, is volatile, as ``random()``; "" if nothing."""
    if any(map(samples_at_random, plans)):
        return "TABLESAMPLE without REPEATABLE"
    names = [sorted(set().union(*map(found, plans))) for found in (called, operators, cast_to)]
    return str(await connection.fetchval(_VOLATILE, *names) or "")
