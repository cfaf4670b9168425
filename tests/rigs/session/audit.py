"""What a caller finds in a session that is not as a new one would be."""

from __future__ import annotations

from collections.abc import Iterable

from tests.rigs.session.kinds import SEED, Hand, Trap

# asyncpg switches ``jit`` for a moment while it asks for types.
SETTINGS = "select name, setting from pg_catalog.pg_settings where name not in ('jit') order by name"
STATE = """
select 'set_config by SELECT' where current_setting('app.selected', true) <> ''
union all select 'set_config in DO' where current_setting('app.done', true) <> ''
union all select 'temporary table' from pg_class where relnamespace = pg_my_temp_schema() and relkind in ('r', 'S')
union all select case mode when 'ShareLock' then 'shared advisory lock' else 'advisory lock' end
    from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'LISTEN' from pg_listening_channels()
union all select 'WITH HOLD cursor' from pg_cursors where is_holdable
union all select 'PREPARE' from pg_prepared_statements where from_sql
union all select 'currval' where public.last_value() is not null
"""
TRANSACTION = "select pg_current_xact_id()::text"  # each statement has its own, unless one was begun before
OF_SETTING = {
    "work_mem": "SET",
    "temp_buffers": "SET LOCAL outside of a transaction",
    "search_path": "search_path",
    "TimeZone": "TIME ZONE",
    "maintenance_work_mem": "a function that does SET",
    "application_name": "application_name",
    "default_transaction_read_only": "default_transaction_read_only",
    "transaction_read_only": "default_transaction_read_only",
    "role": "role",
    "session_authorization": "session authorization",
    "is_superuser": "session authorization",
}


class Auditor:
    """Knows what a new session is like."""

    def __init__(self) -> None:
        self._settings: dict[str, str] = {}
        self._users: tuple[object, ...] = ()
        self._random: object = None

    async def learn(self, hand: Hand) -> None:
        """Look at a new session, which is spoilt for other use afterwards."""
        self._settings = _of(await hand.rows(SETTINGS))
        self._users = (await hand.rows("select session_user::text, current_user::text"))[0]
        await hand.run(SEED)
        self._random = (await hand.rows("select random()"))[0][0]

    async def found(self, hand: Hand, trap: Trap) -> set[str]:
        """The kinds of state, as ``kinds.KINDS`` names them, that this session has from somebody before."""
        try:
            seed = (await hand.rows("select random()"))[0][0]
        except Exception as error:
            return {"aborted transaction" if "abort" in str(error) else f"an error: {error!r}"}
        found = {"setseed"} if seed == self._random else set()
        session_user, user = (await hand.rows("select session_user::text, current_user::text"))[0]
        if session_user != self._users[0]:
            found.add("session authorization")
        elif user != self._users[1]:
            found.add("role")
        if await hand.rows(TRANSACTION) == await hand.rows(TRANSACTION):
            found.add("open transaction")
        found |= {str(row[0]) for row in await hand.rows(STATE)}
        settings = _of(await hand.rows(SETTINGS))
        hidden = {"role", "is_superuser"} if found & {"session authorization"} else set()  # told by that
        found |= {
            OF_SETTING.get(name, f"setting {name}")
            for name in self._settings.keys() & settings.keys() - hidden
            if settings[name] != self._settings[name]
        }
        if (await hand.rows("select '{}'::json"))[0][0] == "of the caller before":
            found.add("type codec")
        await hand.run("do $$ begin raise notice 'to whoever listens'; end $$")
        if any("to whoever listens" in each for each in trap.heard):  # the rest its own statements may have said
            found.add("notice listener")
        return found


def _of(rows: Iterable[tuple[object, ...]]) -> dict[str, str]:
    return {str(name): str(setting) for name, setting in rows}
