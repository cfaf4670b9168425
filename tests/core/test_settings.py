"""What a pool is told: checked once, whole, with a message that says which setting is wrong."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.dsn import Dsn
from dbpool.errors import SettingsError
from dbpool.options import Options
from dbpool.poolermode import Pooler
from dbpool.settings import PoolSettings, Reset, positive_seconds, whole_number

DSN = "postgresql://app:s3cret@localhost/shop"
SECONDS = [
    "acquire_timeout",
    "close_timeout",
    "connect_timeout",
    "max_idle",
    "max_lifetime",
    "outage_patience",
    "query_timeout",
    "reset_timeout",
]
THRESHOLDS = ("leak_after", "slow_query", "slow_acquire")
COUNTS = {
    "max_connections": 1,
    "max_connecting": 1,
    "max_waiting": 0,
    "min_connections": 0,
    "statement_cache_size": 0,
}


def settings(**values: object) -> PoolSettings:
    return PoolSettings.from_mapping({"dsn": DSN, **values})


def test_defaults_make_a_pool_of_five_named_after_its_database() -> None:
    defaults = settings()
    assert (defaults.max_connections, defaults.min_connections, defaults.max_waiting) == (5, 0, None)
    assert defaults.name == "shop"
    assert defaults.reset is Reset.SMART


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(
    "value",
    [
        *(0, 0.0, -0.0, -1, -1e-9, math.nan, math.inf, -math.inf, True, False, "1", None, [], 1j, b"1"),
        pytest.param(10**400, id="more than a float can hold"),
    ],
)
def test_a_time_must_be_finite_seconds_above_zero(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})


@given(value=st.floats(min_value=0, exclude_min=True, max_value=1e9) | st.integers(1, 10**9))
def test_any_finite_time_above_zero_is_taken(value: float) -> None:
    assert positive_seconds(value, "timeout") == float(value)


@pytest.mark.parametrize("name", SECONDS)
def test_a_time_may_be_a_whole_number(name: str) -> None:
    value = getattr(settings(**{name: 7}), name)
    assert value == 7.0
    assert isinstance(value, float)


@pytest.mark.parametrize(("name", "least"), COUNTS.items())
@pytest.mark.parametrize("value", [-1, 1.0, 1.5, math.nan, math.inf, True, False, "1", [], b"1"])
def test_a_count_must_be_a_whole_number(name: str, least: int, value: object) -> None:
    with pytest.raises(SettingsError, match=f"{name}.* at least {least}"):
        settings(**{name: value})


@pytest.mark.parametrize(("name", "least"), COUNTS.items())
def test_a_count_has_a_least_value(name: str, least: int) -> None:
    assert getattr(settings(**{name: least}), name) == least
    with pytest.raises(SettingsError, match=name):
        settings(**{name: least - 1})


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"max_waiting"}))
def test_only_max_waiting_may_be_without_limit(name: str) -> None:
    assert settings(max_waiting=None).max_waiting is None
    with pytest.raises(SettingsError, match=name):
        settings(**{name: None})


@given(value=st.integers(), least=st.integers(-5, 5))
def test_a_whole_number_is_taken_from_its_least_value_on(value: int, least: int) -> None:
    if value >= least:
        assert whole_number(value, "count", least) == value
    else:
        with pytest.raises(SettingsError, match="count"):
            whole_number(value, "count", least)


def test_more_connections_kept_than_allowed_is_a_contradiction() -> None:
    assert settings(min_connections=3, max_connections=3).min_connections == 3
    with pytest.raises(SettingsError, match=r"min_connections \(4\).*max_connections \(3\)"):
        settings(min_connections=4, max_connections=3)


@pytest.mark.parametrize("reset", [*Reset, *(reset.value for reset in Reset)])
def test_reset_is_given_by_member_or_by_value(reset: Reset | str) -> None:
    assert settings(reset=reset).reset in Reset


@pytest.mark.parametrize("pooler", [None, *Pooler, *(pooler.value for pooler in Pooler)])
def test_pooler_is_given_by_member_or_by_value_or_left_to_be_found_out(pooler: Pooler | str | None) -> None:
    assert settings(pooler=pooler).pooler in (None, *Pooler)


@pytest.mark.parametrize("pooler", ["", "TRANSACTION", "statement", "pgbouncer", 1, True, []])
def test_another_pooler_is_refused(pooler: object) -> None:
    with pytest.raises(SettingsError, match="pooler must be 'transaction', 'session', 'none', or None"):
        settings(pooler=pooler)


@pytest.mark.parametrize("reset", ["", "SMART", "sometimes", 1, None, True, []])
def test_another_reset_is_refused(reset: object) -> None:
    with pytest.raises(SettingsError, match="reset must be"):
        settings(reset=reset)


def test_trusted_functions_are_names_not_one_string() -> None:
    assert settings(trusted_functions=["f", "s.g"]).trusted_functions == frozenset({"f", "s.g"})
    with pytest.raises(SettingsError, match="trusted_functions"):
        settings(trusted_functions="f")


@pytest.mark.parametrize("dsn", [1, b"postgresql://app@localhost/shop", ["x"], 1.5, True, object()])
def test_a_dsn_of_another_type_is_refused(dsn: object) -> None:
    with pytest.raises(SettingsError, match="DSN"):
        PoolSettings(dsn=dsn)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("trusted_functions", value) for value in (5, None, [1])),
        *(("server_settings", value) for value in (5, None, ["a"], "a", {"work_mem": 64})),
        *(("name", value) for value in (5, ["a"], b"a")),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        settings().max_connections = 6  # type: ignore[misc]


@pytest.mark.parametrize("dsn", [None, ""])
def test_settings_without_a_dsn_say_what_to_give(dsn: str | None) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        PoolSettings.from_mapping({"dsn": dsn})
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        PoolSettings.from_mapping({})


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "1"])
def test_a_threshold_is_none_or_a_time(name: str, value: object) -> None:
    assert getattr(settings(), name) is None
    assert getattr(settings(**{name: 2}), name) == 2.0
    assert getattr(PoolSettings.from_env({"DATABASE_URL": DSN, f"DBPOOL_{name.upper()}": "0.5"}), name) == 0.5
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'max_conections', 'pool_size'.*max_connections") as error:
        settings(max_conections=5, pool_size=3)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("value", [[("password", "hunter2")], {"options": "hunter2\0"}, {"options": "hunter2\ud800"}])
def test_a_refusal_of_server_settings_quotes_none(value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        PoolSettings.from_mapping({"dsn": DSN, "server_settings": value})
    assert "hunter2" not in str(caught.value)


def test_the_options_of_a_pool_are_the_settings() -> None:
    hints = get_type_hints(PoolSettings)
    options = get_type_hints(Options)
    assert set(options) == {f.name for f in fields(PoolSettings)} - {"dsn", "max_connections"}
    differing = {name for name in options if options[name] != hints[name]}
    assert differing == {"pooler", "reset"}  # where their values will do as well
    assert options["reset"] == Reset | str
    assert options["pooler"] == Pooler | str | None
    assert Options.__total__ is False


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_dsn_does_not_leave_the_process_by_copy_or_pickle(duplicate: Callable[[Dsn], object]) -> None:
    with pytest.raises(TypeError, match="password"):
        duplicate(Dsn(DSN))
