"""What PgBouncer says, in its own words: its errors have one SQLSTATE for everything, or come without one.

Its texts are the same in every language, from 1.18 to 1.24 at least (src/client.c, src/objects.c, src/janitor.c).
"""

from __future__ import annotations

# What it says when a statement never went to a server, and what to do.
_UNSENT = {
    "query_wait_timeout": (
        "PgBouncer had no connection to the server free within its query_wait_timeout. Let the max_connections of all "
        "processes add up to its default_pool_size, or see whether it was paused"
    ),
    "(server_login_retry)": (
        "PgBouncer cannot log in at the server, and does not try again before server_login_retry is over. Check the "
        "server, and its address and password in pgbouncer.ini"
    ),
    "pgbouncer cannot connect": "PgBouncer does not reach the server. Check its address in pgbouncer.ini",
    "(server down)": "PgBouncer does not reach the server. Check the server, and its address in pgbouncer.ini",
}
# What it says when one connects.
_REFUSED = {
    **_UNSENT,
    "unsupported startup parameter": (
        "PgBouncer takes no such setting from its clients: leave it out of server_settings and of the address, and "
        "set it by ALTER ROLE ... SET, or for each transaction by db.transaction(settings=...). Named in PgBouncer's "
        "ignore_startup_parameters, it would be dropped without a word"
    ),
    "unsupported options startup parameter": (
        "PgBouncer takes no such options= from its clients: set what they say by ALTER ROLE ... SET"
    ),
    "no more connections allowed": (
        "PgBouncer has as many clients as it takes: raise its max_client_conn (and the limit of its open files), or "
        "lower max_connections here"
    ),
    "client connections exceeded": (
        "PgBouncer has as many clients of this user or database as it takes: raise max_user_client_connections or "
        "max_db_client_connections, or lower max_connections here"
    ),
    "no such database": "Check the database's name, and the section [databases] of pgbouncer.ini",
    "pooler is shutting down": "PgBouncer is shutting down: connecting goes on by itself when it is back",
    "transaction blocks not allowed": (
        "PgBouncer is in statement mode, where no transaction can be: set pool_mode = transaction in pgbouncer.ini"
    ),
}


def why_unsent(text: str) -> str | None:
    """Why a statement that was answered with *text* never went to the server; None: that it does not say."""
    return next((why for words, why in _UNSENT.items() if words in text), None)


def remedy_for_connect(text: str) -> str | None:
    """What to do about a connect that was refused with *text*, a sentence; None: it is no text of PgBouncer's."""
    remedy = next((remedy for words, remedy in _REFUSED.items() if words in text), None)
    return None if remedy is None else f"{remedy}."
