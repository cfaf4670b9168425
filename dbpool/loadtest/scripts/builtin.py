"""Scripts for the tables that ``pgbench -i`` makes: those that pgbench brings along, with one more."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import Script, parse_script

_KEYS: Final = r"""\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
"""
_ACCOUNT: Final = """BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
"""
_TELLER_AND_BRANCH: Final = """UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
"""
_HISTORY: Final = """INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
  VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""

BUILTIN: Final = {
    "tpcb-like": _KEYS + _ACCOUNT + _TELLER_AND_BRANCH + _HISTORY,
    "simple-update": _KEYS + _ACCOUNT + _HISTORY,
    "select-only": r"""\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
""",
}
"""pgbench's own: text by name."""

# About a millisecond of the server's time for each question: lookups of one row keep a generator busier than the
# server, whose limit then stays out of sight.
OURS: Final = {
    "range-sum": r"""\set aid random(1, 100000 * :scale - 9999)
SELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 9999;
""",
}
SCRIPTS: Final = BUILTIN | OURS


def builtin_script(name: str) -> Script:
    """The script whose name begins with *name*.

    Raises: ScriptError: none does, or several do.
    """
    found = [full for full in SCRIPTS if full.startswith(name)]
    if len(found) != 1:
        several = f'"{name}" begins the names of several builtin scripts' if found else f'no builtin script "{name}"'
        raise ScriptError(f"{several}: there are {', '.join(SCRIPTS)}")
    return parse_script(SCRIPTS[found[0]], name=found[0])
