from __future__ import annotations

from collections import Counter

import pytest

from dbpool.loadtest.scripts.builtin import BUILTIN, builtin_script
from dbpool.loadtest.scripts.client import make_cast, parse_definition
from dbpool.loadtest.scripts.mix import MAX_SCRIPTS, Mix, Weighted, parse_weight
from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import parse_script

SCRIPT = parse_script("select 1", name="test.sql")


def a_mix(*weights: int) -> Mix:
    return Mix([Weighted(SCRIPT, weight) for weight in weights])


def test_a_script_is_chosen_as_often_as_its_weight_says() -> None:
    mix, chooser = a_mix(1, 0, 3, 6), Prng(9)
    counts = Counter(mix.choose(chooser) for _ in range(20_000))
    assert [mix.share(number) for number in range(4)] == [0.1, 0.0, 0.3, 0.6]
    assert counts[1] == 0
    # four standard deviations of the smallest share
    assert all(abs(counts[number] / 20_000 - mix.share(number)) < 0.014 for number in range(4))


def test_one_script_needs_no_draw() -> None:
    chooser = Prng(9)
    state = chooser.state
    assert a_mix(5).choose(chooser) == 0
    assert chooser.state == state


@pytest.mark.parametrize("weights", [[0], [0, 0], []])
def test_some_script_must_have_a_weight(weights: list[int]) -> None:
    with pytest.raises(ScriptError, match="total script weight must not be zero"):
        a_mix(*weights)


def test_too_many_scripts_are_refused() -> None:
    a_mix(*[1] * MAX_SCRIPTS)
    with pytest.raises(ScriptError, match="129 scripts were given: at most 128 are allowed"):
        a_mix(*[1] * (MAX_SCRIPTS + 1))


@pytest.mark.parametrize(
    ("option", "expected"),
    [("a.sql", ("a.sql", 1)), ("a.sql@3", ("a.sql", 3)), ("a@b.sql@0", ("a@b.sql", 0)), ("a@+5", ("a", 5))],
)
def test_a_weight_follows_the_last_at_sign(option: str, expected: tuple[str, int]) -> None:
    assert parse_weight(option) == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("a@", 'invalid weight specification "@" in "a@": write a@1'),
        ("a@b.sql", 'invalid weight specification "@b.sql" in "a@b.sql": write a@1'),
        ("a@1.5", 'invalid weight specification "@1.5" in "a@1.5": write a@1'),
        ("a@-1", "weight specification out of range (0 .. 2147483647): -1"),
        ("a@2147483648", "weight specification out of range (0 .. 2147483647): 2147483648"),
    ],
)
def test_a_weight_that_is_none_is_refused(option: str, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_weight(option)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "found"), [("tpcb-like", "tpcb-like"), ("si", "simple-update"), ("se", "select-only")]
)
def test_a_builtin_script_is_found_by_the_beginning_of_its_name(name: str, found: str) -> None:
    script = builtin_script(name)
    assert script.name == found
    assert len(script.statements) == {"tpcb-like": 7, "simple-update": 5, "select-only": 1}[found]


@pytest.mark.parametrize(
    ("name", "message"), [("x", 'no builtin script "x"'), ("s", '"s" begins the names of several')]
)
def test_no_builtin_script_or_several_are_refused(name: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message) as caught:
        builtin_script(name)
    assert all(builtin in str(caught.value) for builtin in BUILTIN)


def test_automatic_variables_tell_clients_apart_and_give_way_to_definitions() -> None:
    clients = make_cast(3, seed=42, scale=7).clients
    assert [client.variables["client_id"] for client in clients] == [0, 1, 2]
    assert {(client.variables["scale"], client.variables["random_seed"]) for client in clients} == {(7, 42)}
    assert len({client.variables["default_seed"] for client in clients}) == 1
    assert len({client.random.state for client in clients}) == 3
    defined = {"client_id": "9", "scale": "8", "random_seed": "x", "default_seed": "1", "own": "a"}
    assert [client.variables for client in make_cast(2, seed=42, defined=defined).clients] == [defined, defined]


def test_a_seed_above_63_bits_is_a_negative_variable_as_in_pgbench() -> None:
    [client] = make_cast(1, seed=(1 << 64) - 1).clients
    assert client.variables["random_seed"] == -1


def test_a_client_changes_its_own_variables_only() -> None:
    first, second = make_cast(2, seed=1, defined={"a": "1"}).clients
    first.variables["a"] = 2
    assert second.variables["a"] == "1"


@pytest.mark.parametrize(("option", "expected"), [("a=1", ("a", "1")), ("a= b=c ", ("a", " b=c "))])
def test_a_definition_is_a_name_and_a_text(option: str, expected: tuple[str, str]) -> None:
    assert parse_definition(option) == expected


@pytest.mark.parametrize("option", ["", "a", "a=", "=1", "1a=1", "a b=1"])
def test_a_definition_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(ScriptError, match="invalid variable"):
        parse_definition(option)
