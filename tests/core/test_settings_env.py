"""What a service is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import pytest

from dbpool import DatabasePool
from dbpool.errors import SettingsError
from dbpool.settings import PoolSettings, Reset
from tests.core.test_settings import COUNTS, DSN, SECONDS

SWITCHES = ["adaptive", "coalesce", "deadline_aware", "warn_nested"]


def from_env(**environ: str) -> PoolSettings:
    return PoolSettings.from_env({"DATABASE_URL": DSN, **environ})


def test_the_environment_gives_every_number() -> None:
    environ = {"DATABASE_URL": DSN, "DBPOOL_NAME": "web", "DBPOOL_RESET": "always"}
    environ |= {f"DBPOOL_{name.upper()}": "2.5" for name in SECONDS}
    environ |= {f"DBPOOL_{name.upper()}": "2" for name in COUNTS}
    read = PoolSettings.from_env(environ)
    assert [getattr(read, name) for name in SECONDS] == [2.5] * len(SECONDS)
    assert [getattr(read, name) for name in COUNTS] == [2] * len(COUNTS)
    assert (read.name, read.reset, read.dsn.reveal()) == ("web", Reset.ALWAYS, DSN)


def test_the_environment_gives_trusted_functions_with_commas_between() -> None:
    read = PoolSettings.from_env({"DATABASE_URL": DSN, "DBPOOL_TRUSTED_FUNCTIONS": "f, s.g,"})
    assert read.trusted_functions == frozenset({"f", "s.g"})


def test_an_empty_variable_counts_as_unset() -> None:
    assert PoolSettings.from_env({"DATABASE_URL": DSN, "DBPOOL_MAX_CONNECTIONS": ""}).max_connections == 5


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", DSN)
    monkeypatch.setenv("APP_MAX_CONNECTIONS", "9")
    assert PoolSettings.from_env(prefix="APP_").max_connections == 9


@pytest.mark.parametrize(
    "environ",
    [
        {"DBPOOL_MAX_CONNECTIONS": "many"},
        {"DBPOOL_MAX_CONNECTIONS": "2.5"},
        {"DBPOOL_MAX_CONNECTIONS": "0"},
        {"DBPOOL_QUERY_TIMEOUT": "soon"},
        {"DBPOOL_QUERY_TIMEOUT": "nan"},
        {"DBPOOL_QUERY_TIMEOUT": "inf"},
        {"DBPOOL_QUERY_TIMEOUT": "-1"},
        {"DBPOOL_RESET": "sometimes"},
        {"DBPOOL_MIN_CONNECTIONS": "6"},
    ],
)
def test_a_wrong_variable_is_named(environ: Mapping[str, str]) -> None:
    (variable,) = environ
    with pytest.raises(SettingsError, match=rf"(?i){variable.removeprefix('DBPOOL_')}") as error:
        PoolSettings.from_env({"DATABASE_URL": DSN, **environ})
    assert error.value.__cause__ is None


def test_a_misspelt_variable_is_refused_and_another_tools_is_not() -> None:
    with pytest.raises(SettingsError, match="DBPOOL_QUERY_TIMOUT is no setting: DBPOOL_QUERY_TIMEOUT may be meant"):
        PoolSettings.from_env({"DATABASE_URL": DSN, "DBPOOL_QUERY_TIMOUT": "5"})
    for variable in ("DBPOOL_TEST_SERVER", "DBPOOL_CACHE_DIR", "DBPOOL_PG_BIN", "DBPOOL_TEST_IMAGE"):
        PoolSettings.from_env({"DATABASE_URL": DSN, variable: "x"})


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("text", ["true", "yes", "on", "1"])
def test_a_switch_is_turned_by_the_usual_words(name: str, text: str) -> None:
    variable = f"DBPOOL_{name.upper()}"
    assert getattr(from_env(**{variable: text}), name) is True
    assert getattr(from_env(**{variable: text.upper()}), name) is True
    for no in ("false", "no", "off", "0"):
        assert getattr(from_env(**{variable: no}), name) is False


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("QUERY_TIMEOUT", "30s", "DBPOOL_QUERY_TIMEOUT must be a number of seconds, not '30s'"),
        ("MAX_CONNECTIONS", "2.5", "DBPOOL_MAX_CONNECTIONS must be a whole number, not '2.5'"),
        ("COALESCE", "2", "DBPOOL_COALESCE must be true or false, not '2'"),
        ("SSL", "on", "DBPOOL_SSL must be one of disable, allow, prefer, require, verify-ca, verify-full, not 'on'"),
        ("DSN", DSN, "DBPOOL_DSN is not read: the DSN goes into DATABASE_URL"),
        ("CREDENTIALS", "me", "DBPOOL_CREDENTIALS is not read: credentials are a function, given in the program"),
    ],
)
def test_a_variable_that_does_not_parse_is_told_in_a_sentence(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_env(**{f"DBPOOL_{name}": text})
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["hunter2", "[]", '{"statement_timeout": 5}', "{"])
def test_server_settings_are_a_json_object_of_strings(text: str) -> None:
    read = from_env(DBPOOL_SERVER_SETTINGS='{"statement_timeout": "5s", "search_path": "a, b"}')
    assert read.server_settings == {"statement_timeout": "5s", "search_path": "a, b"}
    with pytest.raises(SettingsError, match="DBPOOL_SERVER_SETTINGS must be a JSON object of strings") as caught:
        from_env(DBPOOL_SERVER_SETTINGS=text)
    assert "hunter2" not in str(caught.value)


def test_tls_is_asked_for_by_the_words_of_libpq() -> None:
    assert from_env(DBPOOL_SSL="verify-full").ssl == "verify-full"


def test_every_setting_can_be_given_by_a_variable_or_is_told_where_it_goes() -> None:
    words = {
        "name": "web",
        "pooler": "transaction",
        "reset": "always",
        "ssl": "require",
        "server_settings": '{"a": "b"}',
    }
    words |= dict.fromkeys(SWITCHES, "on") | {"trusted_functions": "f", "min_connections": "1", "max_connecting": "2"}
    words |= {"fleet_budget": "20", "target_session_attrs": "primary", "load_balance_hosts": "random"}
    for name in {field.name for field in fields(PoolSettings)} - {"dsn", "credentials"}:
        read = from_env(**{f"DBPOOL_{name.upper()}": words.get(name, "3")})
        assert getattr(read, name) != getattr(from_env(), name), name


def test_an_address_from_a_file_may_end_with_a_line_break() -> None:
    assert PoolSettings.from_env({"DATABASE_URL": f" {DSN}\n"}).dsn.reveal() == DSN


def test_a_missing_address_is_told_with_the_name_of_its_variable() -> None:
    with pytest.raises(SettingsError, match="no DSN: set REPORTS_URL to postgresql://"):
        PoolSettings.from_env({"DATABASE_URL": DSN}, url="REPORTS_URL")


def test_a_second_pool_has_variables_of_its_own() -> None:
    environ = {"DATABASE_URL": DSN, "REPORTS_URL": "postgresql://r/reports", "REPORTS_MAX_CONNECTIONS": "2"}
    read = PoolSettings.from_env(environ, prefix="REPORTS_", url="REPORTS_URL")
    assert (read.name, read.max_connections) == ("reports", 2)


def test_a_pool_takes_from_its_program_what_no_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", DSN)
    monkeypatch.setenv("DBPOOL_MAX_WAITING", "7")
    read = DatabasePool.from_env(max_connections=9, max_waiting=3, credentials=lambda: "secret").settings
    assert (read.max_connections, read.max_waiting, read.dsn.reveal()) == (9, 7, DSN)
    assert read.credentials is not None
    monkeypatch.setenv("DBPOOL_MAX_CONNECTIONS", "2")
    assert DatabasePool.from_env(max_connections=9).settings.max_connections == 2
