"""What is between a pool and its server, in words; and PgBouncer's own words."""

from __future__ import annotations

import pytest

from dbpool.core.poolerwords import remedy_for_connect, why_unsent
from dbpool.core.route import DIRECT, HIGHEST_PID, Route, is_process
from dbpool.poolermode import Pooler

TRANSACTION = Route(Pooler.TRANSACTION, keeps_prepared=False)


def test_only_in_transaction_mode_sessions_are_shared() -> None:
    assert [Route(pooler).shares_sessions for pooler in Pooler] == [False, False, True]
    assert [Route(pooler).is_direct for pooler in Pooler] == [True, False, False]


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (DIRECT, "no pooler"),
        (Route(Pooler.SESSION), "a pooler in session mode"),
        (Route(Pooler.TRANSACTION), "a pooler in transaction mode, which follows prepared statements"),
        (TRANSACTION, "a pooler in transaction mode, which does not follow prepared statements"),
        (
            Route(Pooler.TRANSACTION, is_certain=False, lost_settings=("a", "b")),
            "a pooler in transaction mode (or in session mode: then say pooler='session'), "
            "which follows prepared statements, which ignores server_settings: a, b",
        ),
    ],
)
def test_a_route_says_what_it_is(route: Route, text: str) -> None:
    assert str(route) == text


def test_a_key_to_cancel_by_looks_like_a_process_or_does_not() -> None:
    assert [is_process(pid) for pid in (-1, 0, 1, HIGHEST_PID, HIGHEST_PID + 1)] == [False, False, True, True, False]


def test_what_pgbouncer_says_of_a_statement_that_it_never_sent() -> None:
    why = why_unsent("connection was closed in the middle of operation: query_wait_timeout")
    assert why is not None
    assert "default_pool_size" in why
    assert why_unsent("server conn crashed?") is None


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("unsupported startup parameter: statement_timeout", "ALTER ROLE"),
        ("no more connections allowed (max_client_conn)", "max_client_conn"),
        ("server login has been failing, cached error: connect failed (server_login_retry)", "Check the server"),
        ("transaction blocks not allowed in statement pooling mode", "pool_mode = transaction"),
    ],
)
def test_what_to_do_about_a_refused_connect(text: str, remedy: str) -> None:
    found = remedy_for_connect(text)
    assert found is not None
    assert remedy in found
    assert found.endswith(".")


def test_a_server_s_own_words_are_none_of_pgbouncer_s() -> None:
    assert remedy_for_connect("the database system is shutting down") is None
