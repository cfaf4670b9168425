"""Refused connections: each limit told from the others, in every language as far as that goes."""

from __future__ import annotations

import errno

import pytest

from dbpool.core.loadtest.refusals import LIMITS, Evidence, Refusal, is_limit, label_of, refusal_of

ENGLISH = [
    ("sorry, too many clients already", Refusal.SERVER_FULL),
    ("remaining connection slots are reserved for roles with the SUPERUSER attribute", Refusal.RESERVED),
    ("remaining connection slots are reserved for non-replication superuser connections", Refusal.RESERVED),
    (
        'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" role',
        Refusal.RESERVED,
    ),
    ('remaining connection slots are reserved for roles with privileges of the "rds_reserved" role', Refusal.RESERVED),
    ('too many connections for role "app"', Refusal.ROLE_LIMIT),
    ('too many connections for database "shop"', Refusal.DATABASE_LIMIT),
]
FOREIGN = [
    ("tut mir leid, schon zu viele Verbindungen", Refusal.SERVER_LIMIT),
    ("zu viele Verbindungen von Rolle »app«", Refusal.ROLE_LIMIT),
    ("zu viele Verbindungen für Datenbank »shop«", Refusal.DATABASE_LIMIT),
    ("trop de connexions pour le rôle « app »", Refusal.ROLE_LIMIT),
    ('データベース"shop"への接続が多すぎます', Refusal.DATABASE_LIMIT),
    ("残りの接続スロットはSUPERUSER属性を持つロール用に予約されています", Refusal.RESERVED),
]


@pytest.mark.parametrize(("message", "wanted"), ENGLISH)
def test_the_english_message_tells_the_limit(message: str, wanted: Refusal) -> None:
    assert refusal_of(Evidence("53300", message)) is wanted


@pytest.mark.parametrize(("message", "wanted"), FOREIGN)
def test_names_tell_the_limit_in_other_languages(message: str, wanted: Refusal) -> None:
    assert refusal_of(Evidence("53300", message), role="app", database="shop") is wanted


@pytest.mark.parametrize(
    ("routine", "wanted"),
    [
        ("InitProcess", Refusal.SERVER_FULL),
        ("InitPostgres", Refusal.RESERVED),
        ("InitializeSessionUserId", Refusal.ROLE_LIMIT),
        ("CheckMyDatabase", Refusal.DATABASE_LIMIT),
    ],
)
def test_the_function_tells_the_limit_whatever_the_language(routine: str, wanted: Refusal) -> None:
    assert refusal_of(Evidence("53300", "слишком много", routine)) is wanted
    assert refusal_of(Evidence("53300", 'trop pour "app"', routine), role="app", database="shop") is wanted


def test_a_role_named_like_its_database_is_not_guessed() -> None:
    assert refusal_of(Evidence("53300", "trop pour « app »"), role="app", database="app") is Refusal.SERVER_LIMIT


def test_part_of_a_word_is_no_name() -> None:
    evidence = Evidence("53300", "zu viele Verbindungen von Rolle »app«")
    assert refusal_of(evidence, role="a", database="von") is Refusal.DATABASE_LIMIT
    assert refusal_of(evidence, role="ap", database="pp") is Refusal.SERVER_LIMIT
    assert refusal_of(evidence) is Refusal.SERVER_LIMIT
    assert refusal_of(evidence, role="app") is Refusal.ROLE_LIMIT


@pytest.mark.parametrize("sqlstate", ["08P01", "53300"])
@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("no more connections allowed (max_client_conn)", Refusal.POOLER_FULL),
        ("client connections exceeded (max_db_client_connections)", Refusal.POOLER_DATABASE_LIMIT),
        ("client connections exceeded (max_user_client_connections)", Refusal.POOLER_ROLE_LIMIT),
        ("query_wait_timeout", Refusal.POOLER_WAIT),
    ],
)
def test_a_poolers_limits_are_told_from_the_servers(sqlstate: str, message: str, wanted: Refusal) -> None:
    assert refusal_of(Evidence(sqlstate, message), role="app", database="shop") is wanted


@pytest.mark.parametrize(
    ("evidence", "wanted"),
    [
        (Evidence(errno=errno.EMFILE), Refusal.CLIENT_FILES),
        (Evidence(errno=errno.ENFILE), Refusal.CLIENT_FILES),
        (Evidence(errno=errno.EADDRNOTAVAIL), Refusal.CLIENT_PORTS),
        (Evidence(errno=errno.ECONNREFUSED), Refusal.NOT_LISTENING),
        (Evidence(errno=errno.ENOENT), Refusal.NOT_LISTENING),
        (Evidence(errno=errno.ECONNRESET), Refusal.OTHER),
        (Evidence(is_timeout=True), Refusal.TIMEOUT),
        (Evidence(), Refusal.OTHER),
        (Evidence("57P03", "the database system is starting up"), Refusal.STARTING),
        (Evidence("28P01", 'password authentication failed for user "app"'), Refusal.DENIED),
        (Evidence("3D000", 'database "shop" does not exist'), Refusal.DENIED),
        (Evidence("08P01", "bad packet"), Refusal.OTHER),
        (Evidence("42601", "max_client_conn)"), Refusal.OTHER),
    ],
)
def test_what_is_no_limit_of_the_server_has_a_class_of_its_own(evidence: Evidence, wanted: Refusal) -> None:
    assert refusal_of(evidence, role="app", database="shop") is wanted


def test_a_limit_says_where_it_is_set() -> None:
    assert {refusal for refusal in Refusal if refusal.is_a_limit} == LIMITS.keys()
    assert not Refusal.DENIED.is_a_limit
    assert "max_connections" in LIMITS[Refusal.SERVER_FULL]


def test_results_count_by_sqlstate_and_class() -> None:
    assert label_of(Evidence("53300"), Refusal.SERVER_FULL) == "53300.server_full"
    assert label_of(Evidence(errno=errno.EMFILE), Refusal.CLIENT_FILES) == "client_files"
    assert is_limit("53300.server_full")
    assert is_limit("client_files")
    assert not is_limit("28P01.denied")
    assert not is_limit("40001")
