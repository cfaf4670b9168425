"""What of a statement may give something else each time it is evaluated, so that a batch must not evaluate it once."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.connection import PooledConnection
from dbpool.core.planshape import Plan, called, cast_to, hides_expressions, operators, samples_at_random
from dbpool.core.sqlnames import names_in, operators_in

# Of what a plan's expressions name. The plan tells no implicit cast and no check of a domain's, so those that the
# database has count where they can be met. No expression calls what serves triggers or TABLESAMPLE, and a column may
# have its name.
_VOLATILE = """
WITH RECURSIVE volatile AS (SELECT oid, proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND prokind <> 'p'
    AND prorettype <> ALL (ARRAY['trigger', 'event_trigger', 'tsm_handler']::regtype[])),
type AS (
    SELECT oid, typname, typbasetype, typelem FROM pg_catalog.pg_type WHERE typname = ANY ($3::text[]::name[])
  UNION
    SELECT t.oid, t.typname, t.typbasetype, t.typelem
    FROM type JOIN pg_catalog.pg_type t ON t.oid IN (type.typbasetype, type.typelem)
)
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
SELECT 'a check of the domain ' || type.typname FROM type
  JOIN pg_catalog.pg_constraint c ON c.contypid = type.oid
 WHERE EXISTS (
    SELECT FROM regexp_matches(pg_catalog.pg_get_constraintdef(c.oid), '([[:alnum:]_$]+)"?\\(', 'g') AS called
      JOIN volatile v ON v.proname = called[1])
"""
_VIEWS = """
SELECT pg_catalog.pg_get_viewdef(oid) FROM pg_catalog.pg_class
 WHERE relkind = 'v' AND relname = ANY ($1::text[]::name[])
"""


async def volatile_in(connection: PooledConnection, sql: str, plans: Sequence[Plan]) -> str:
    """What in *sql*, of which *plans* are verbose ones, is volatile, as ``random()``; "" if nothing."""
    if any(map(samples_at_random, plans)):
        return "TABLESAMPLE without REPEATABLE"
    names = [set().union(*map(found, plans)) for found in (called, operators, cast_to)]
    if any(map(hides_expressions, plans)):
        texts, words = await _read_views(connection, sql)
        if "" in words:
            return 'what is written as U&"..."'
        names = [names[0] | words, names[1].union(*map(operators_in, texts)), names[2] | words]
    return str(await connection.fetchval(_VOLATILE, *map(sorted, names)) or "")


async def _read_views(connection: PooledConnection, sql: str) -> tuple[list[str], set[str]]:
    """*sql* with the definitions of the views behind it, and all names in them."""
    texts, words, unread = [sql], set[str](), names_in(sql)
    while unread:
        words |= unread
        views = [row[0] for row in await connection.fetch(_VIEWS, sorted(unread))]
        texts += views
        unread = set().union(*map(names_in, views)) - words
    return texts, words
