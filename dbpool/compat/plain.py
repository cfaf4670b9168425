"""Whether statements may be sent without calling the methods of a connection's class."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from asyncpg import connection as asyncpg_connection

# What a one-shot passes by. A class that has its own, or an instrumentation that has wrapped asyncpg's, must see it.
_PASSED_BY = ["execute", "fetch", "fetchrow", "fetchval", "get_reset_query", "reset"]
_PASSED_BY += ["_Connection__execute", "_do_execute", "_execute", "_get_statement", "_reset"]

_class: Any = asyncpg_connection.Connection
_EXECUTE, _FETCH, _FETCHROW, _FETCHVAL = _class.execute, _class.fetch, _class.fetchrow, _class.fetchval
_EXECUTE_ANY, _EXECUTE_ONE = _class._execute, _class._Connection__execute


def is_plain(connection_class: type[Any]) -> bool:
    """Whether they are asyncpg's own, all of them."""
    methods = (getattr(connection_class, name) for name in _PASSED_BY)
    # not isinstance(), nor ==: a proxy around a function passes for it
    return all(type(m) is FunctionType and m.__globals__ is vars(asyncpg_connection) for m in methods)


def is_still_plain(connection_class: Any) -> bool:
    """Whether a class that was plain is so now, in 0.2 us: an instrumentation wraps one of these, at any time."""
    return (
        connection_class.fetch is _FETCH
        and connection_class.fetchrow is _FETCHROW
        and connection_class.fetchval is _FETCHVAL
        and connection_class.execute is _EXECUTE
        and connection_class._execute is _EXECUTE_ANY
        and connection_class._Connection__execute is _EXECUTE_ONE
    )
