"""Who can hear the connection, who else could be at its other end, what stands in between."""

from __future__ import annotations

from collections.abc import Iterator

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, ok, unknown


def look_at_transport(facts: Facts) -> Iterator[Finding]:
    """TLS, and how the password is stored."""
    way = facts.transport
    if way.is_unix:
        yield ok("tls.use", "a unix socket: needs no TLS")
    elif way.is_local:
        yield ok("tls.use", f"this machine's loopback, {'with ' + way.tls if way.tls else 'which needs no TLS'}")
    elif way.tls is None:
        at_server = facts.text("ssl")
        yield Finding(
            "tls.use",
            Level.PROBLEM,
            "the connection is not encrypted",
            "Whoever is on the way can read and change what goes over it.",
            ("ALTER SYSTEM SET ssl = on; with a certificate, then " if at_server == "off" else "")
            + "end the address with ?sslmode=verify-full",
        )
    elif not (way.is_certified and way.is_named):
        missing = "the host's name in the certificate is not" if way.is_certified else "the certificate is not"
        yield Finding(
            "tls.verify",
            Level.WARNING,
            f"{way.tls}, but {missing} checked",
            "Whoever can redirect the connection can pose as the server.",
            "?sslmode=verify-full, with sslrootcert=FILE or ssl=ssl.create_default_context(cafile=FILE)",
        )
    else:
        yield ok("tls.use", f"{way.tls}, with the certificate and its name checked")
    if way.behind_pooler_tls is False and not way.is_local:
        yield Finding(
            "tls.pooler",
            Level.ADVICE,
            "the pooler's own connection to the server is not encrypted",
            "That is safe only where both are on one machine, or on a network of their own.",
            "server_tls_sslmode = verify-full in pgbouncer.ini",
        )
    if facts.text("password_encryption") == "md5":
        yield Finding(
            "tls.md5",
            Level.WARNING,
            "new passwords are stored as MD5 (password_encryption = md5)",
            "What is stored is enough to log in with, and PostgreSQL will drop it.",
            "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf(); then set each password "
            "anew",
        )


def look_at_pooler(facts: Facts) -> Iterator[Finding]:
    """PgBouncer and its like."""
    if facts.is_pooled is None:
        yield unknown("pooler.use", "whether a pooler is in between")
        return
    if not facts.is_pooled:
        yield ok("pooler.use", "no pooler in between")
        return
    pooler = facts.pooler
    if pooler is None or pooler.is_shared is None:
        yield unknown("pooler.mode", "a pooler is in between; whether it is in transaction mode did not show")
        return
    if not pooler.is_shared:
        yield ok("pooler.mode", "a pooler is in between, in session mode as far as it shows")
        return
    if pooler.takes_transactions is False:
        yield Finding(
            "pooler.mode",
            Level.PROBLEM,
            "a pooler in statement mode is in between",
            "It refuses BEGIN, and ends the session: db.transaction(), stream() and all else that needs a transaction "
            "cannot work through it.",
            "pool_mode = transaction in pgbouncer.ini, or for this database",
        )
        return
    yield Finding(
        "pooler.mode",
        Level.ADVICE,
        "a pooler in transaction mode is in between",
        "Between two transactions nothing of the session is kept: dbpool refuses SET, LISTEN, advisory locks of the "
        "session and temporary tables, which would be another client's next.",
        "Put such things into one db.transaction(), use settings= of it, and give listen() an address of the server "
        "itself",
    )
    if pooler.keeps_prepared is False:
        yield Finding(
            "pooler.prepared",
            Level.ADVICE,
            "the pooler does not follow prepared statements",
            "dbpool finds out and gives statements no names, so each is parsed anew, in a round trip more; others "
            "must be told, or are answered by each other's statements.",
            "PgBouncer 1.21 or newer with max_prepared_statements = 200",
        )
    elif pooler.keeps_prepared is None:
        yield unknown("pooler.prepared", "whether the pooler follows prepared statements")
    else:
        yield ok("pooler.prepared", "the pooler follows prepared statements")
