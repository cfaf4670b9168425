"""Settings that hurt, each with what it does and the statement that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, ok, unknown
from dbpool.core.identifier import quoted

KEEPALIVE_S: Final = 600  # a peer that is gone is noticed in minutes, not in the two hours of most systems
_ROLE: Final = "ALTER ROLE {role} SET {name} = {value};"
_SYSTEM: Final = "ALTER SYSTEM SET {name} = {value}; SELECT pg_reload_conf();"


@dataclass(frozen=True, slots=True)
class Rule:
    """*hurts* is asked with the setting as the server has it: its number in its own unit, or its text."""

    name: str
    level: Level
    hurts: Callable[[Facts, int | str], bool]
    what: str
    why: str
    fix: str
    value: str = ""

    def finding(self, facts: Facts) -> Finding | None:
        """None: it does not hurt, or this version has no such setting."""
        setting = facts.settings.get(self.name)
        if setting is None:
            return None
        value = setting.raw if setting.number is None else setting.number
        if not self.hurts(facts, value):
            return None
        fix = self.fix.format(role=quoted(facts.role), name=self.name, value=self.value)
        return Finding(f"settings.{self.name}", self.level, self.what.format(value=setting.shown), self.why, fix)


def _is_off(_: Facts, value: int | str) -> bool:
    return value in (0, "off")


RULES: Final = (
    Rule(
        "fsync",
        Level.PROBLEM,
        _is_off,
        "fsync is off",
        "After a power cut or a crash of the machine the database may be beyond repair.",
        _SYSTEM,
        "on",
    ),
    Rule(
        "full_page_writes",
        Level.PROBLEM,
        _is_off,
        "full_page_writes is off",
        "A crash in the middle of a write can leave half a page behind, which is beyond repair.",
        _SYSTEM,
        "on",
    ),
    Rule(
        "autovacuum",
        Level.PROBLEM,
        _is_off,
        "autovacuum is off",
        "Tables only grow, plans get worse, and in the end the server refuses all writes.",
        _SYSTEM,
        "on",
    ),
    Rule(
        "standard_conforming_strings",
        Level.PROBLEM,
        _is_off,
        "standard_conforming_strings is off",
        "Backslashes in strings mean something else than clients assume, dbpool among them: an open door.",
        _ROLE,
        "on",
    ),
    Rule(
        "idle_in_transaction_session_timeout",
        Level.WARNING,
        _is_off,
        "no idle_in_transaction_session_timeout",
        "A transaction that a program forgot, or that hangs with it, keeps its locks and stops VACUUM everywhere.",
        _ROLE,
        "'60s'",
    ),
    Rule(
        "statement_timeout",
        Level.WARNING,
        _is_off,
        "no statement_timeout",
        "dbpool cancels a statement after query_timeout; when its process is gone nobody does.",
        _ROLE,
        "'60s'",
    ),
    Rule(
        "lock_timeout",
        Level.ADVICE,
        _is_off,
        "no lock_timeout",
        "Who waits for a lock makes all later ones wait behind it: one ALTER TABLE can stop an application.",
        _ROLE,
        "'5s'",
    ),
    Rule(
        "client_connection_check_interval",
        Level.ADVICE,
        _is_off,
        "client_connection_check_interval is 0",
        "A query goes on to its end though its client is gone, with its connection and its locks.",
        _ROLE,
        "'5s'",
    ),
    Rule(
        "tcp_keepalives_idle",
        Level.ADVICE,
        lambda facts, value: not facts.transport.is_unix and isinstance(value, int) and value > KEEPALIVE_S,
        "a client that vanished is noticed after {value} s (tcp_keepalives_idle)",
        "Until then its connection counts against max_connections, and firewalls may cut idle ones without a word.",
        _SYSTEM,
        "60",
    ),
    Rule(
        "idle_session_timeout",
        Level.WARNING,
        lambda _, value: value != 0,
        "the server ends sessions that were idle for {value} (idle_session_timeout)",
        "A pool keeps connections idle on purpose; each that is ended so costs a connect, and a log entry.",
        "ALTER ROLE {role} SET idle_session_timeout = 0; or max_idle of the pool below it",
    ),
    Rule(
        "synchronous_commit",
        Level.WARNING,
        _is_off,
        "synchronous_commit is off",
        "A crash of the server loses the last commits that it had reported as done.",
        "ALTER ROLE {role} SET synchronous_commit = on; and off only in transactions that may be lost: "
        "db.transaction(settings={{'synchronous_commit': 'off'}})",
    ),
    Rule(
        "default_transaction_read_only",
        Level.WARNING,
        lambda _, value: value == "on",
        "transactions are read-only unless they say otherwise (default_transaction_read_only)",
        "Every write is refused.",
        _ROLE,
        "off",
    ),
    Rule(
        "jit",
        Level.ADVICE,
        lambda facts, value: value == "on" and facts.has_jit is True,
        "jit is on",
        "Where costs are overestimated a query of a millisecond first compiles for a hundred.",
        _ROLE,
        "off",
    ),
    Rule(
        "log_lock_waits",
        Level.ADVICE,
        _is_off,
        "log_lock_waits is off",
        "Who waited for whom can then only be seen while it lasts.",
        _SYSTEM,
        "on",
    ),
    Rule(
        "track_activity_query_size",
        Level.ADVICE,
        lambda _, value: isinstance(value, int) and value <= 1024,
        "statements are cut at {value} in pg_stat_activity (track_activity_query_size)",
        "Of a long statement the part that tells it from others is often behind that.",
        "ALTER SYSTEM SET track_activity_query_size = '4kB'; and restart the server",
    ),
)
NAMES: Final = (*(rule.name for rule in RULES), "password_encryption", "ssl", "server_encoding")


def look_at_settings(facts: Facts) -> Iterator[Finding]:
    """Those that hurt; and whether writes are possible at all."""
    if not facts.settings:
        yield unknown("settings.all", "the settings")
        return
    found = [finding for rule in RULES if (finding := rule.finding(facts)) is not None]
    yield from found
    if not found:
        yield ok("settings.all", "no setting that hurts")


def look_at_state(facts: Facts) -> Iterator[Finding]:
    """Standby or not, and the encoding."""
    if facts.is_standby:
        yield Finding(
            "state.standby",
            Level.WARNING,
            "the server is a standby (in recovery)",
            "It takes no writes, and cancels queries that stand in the way of what it replays.",
            "Name all servers, and which one is wanted: postgresql://a,b/shop?target_session_attrs=read-write",
        )
    elif facts.is_standby is None:
        yield unknown("state.standby", "whether the server is a standby")
    else:
        yield ok("state.standby", "a primary: it takes writes")
    if facts.encoding == "SQL_ASCII":
        yield Finding(
            "state.encoding",
            Level.WARNING,
            "the database's encoding is SQL_ASCII",
            "It takes any bytes for text, and what is not UTF-8 cannot be read back.",
            "Dump it, and restore it into a database made with ENCODING 'UTF8' TEMPLATE template0",
        )
