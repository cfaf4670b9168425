"""Which servers an address names, what is asked of them, and in which order they are tried."""

from __future__ import annotations

import random

import pytest

from dbpool.core.hosts import Hosts
from dbpool.dsn import Dsn
from dbpool.errors import SettingsError
from dbpool.hosts import Host, Order, Target
from dbpool.settings import PoolSettings


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("postgresql:///shop", ()),
        ("postgresql://a/shop", (Host("a", None),)),
        ("postgresql://me:x@a:1,b,[::1]:3/shop", (Host("a", 1), Host("b", None), Host("::1", 3))),
        ("postgresql:///shop?host=a,b&port=7", (Host("a", 7), Host("b", 7))),
        ("postgresql:///shop?host=a,/run/pg&port=7,8", (Host("a", 7), Host("/run/pg", 8))),
        ("postgresql://%2Frun%2Fpg,b/shop", (Host("/run/pg", None), Host("b", None))),
    ],
)
def test_an_address_names_servers_as_the_driver_reads_it(address: str, hosts: tuple[Host, ...]) -> None:
    assert Dsn(address).named.hosts == hosts


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("target_session_attrs=primray", "target_session_attrs is none of any, read-write, read-only, primary,"),
        ("load_balance_hosts=yes", "load_balance_hosts is none of disable, random"),
        ("host=a,b&port=1,2,3", "its ports do not fit its hosts"),
        ("host=a,b&port=1,x", "its ports do not fit its hosts"),
        ("host=a,,b", "one of its hosts is empty"),
        ("host=a,", "one of its hosts is empty"),
    ],
)
def test_an_address_that_asks_for_what_there_is_not_is_refused(parameters: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=f"malformed DSN: {complaint}"):
        Dsn(f"postgresql:///shop?{parameters}")


def test_a_setting_comes_before_the_address() -> None:
    dsn = "postgresql://a,b/shop?target_session_attrs=standby&load_balance_hosts=random"
    settings = PoolSettings.from_mapping({"dsn": dsn})
    assert (settings.target_session_attrs, settings.load_balance_hosts) == (Target.STANDBY, Order.RANDOM)
    settings = PoolSettings.from_mapping(
        {"dsn": dsn, "target_session_attrs": "read-write", "load_balance_hosts": "disable"}
    )
    assert (settings.target_session_attrs, settings.load_balance_hosts) == (Target.READ_WRITE, Order.DISABLE)


@pytest.mark.parametrize("name", ["target_session_attrs", "load_balance_hosts"])
@pytest.mark.parametrize("value", ["", "master", 1, True, []])
def test_a_setting_that_is_none_of_them_is_refused_in_a_sentence(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be one of '.*', not "):
        PoolSettings.from_mapping({"dsn": "postgresql://a,b/shop", name: value})


def test_the_driver_never_sees_the_order_which_it_would_send_to_the_server() -> None:
    dsn = Dsn("postgresql://me:p%40ss@a:1,b/shop?load_balance_hosts=random&application_name=x")
    assert dsn.reveal() == "postgresql://me:p%40ss@a:1,b/shop?application_name=x"


@pytest.mark.parametrize(
    ("target", "suits"),
    [
        (Target.ANY, "primary, closed primary, standby"),
        (Target.READ_WRITE, "primary"),
        (Target.READ_ONLY, "closed primary, standby"),
        (Target.PRIMARY, "primary, closed primary"),
        (Target.STANDBY, "standby"),
        (Target.PREFER_STANDBY, "standby"),
    ],
)
def test_each_target_has_its_servers(target: Target, suits: str) -> None:
    servers = {"primary": (False, False), "closed primary": (False, True), "standby": (True, False)}
    found = [
        name
        for name, (recovery, closed) in servers.items()
        if target.unsuited(in_recovery=recovery, reads_only=closed) is None
    ]
    assert ", ".join(found) == suits


def test_the_one_that_answered_last_is_tried_first_and_a_silent_one_last() -> None:
    hosts = Hosts(4)
    assert list(hosts.order(random.shuffle)) == [0, 1, 2, 3]
    hosts.silent(0)
    hosts.refused(1)
    hosts.answered(3)
    assert list(hosts.order(random.shuffle)) == [3, 2, 1, 0]
    hosts.answered(1)
    assert list(hosts.order(random.shuffle)) == [1, 2, 3, 0]


def test_at_random_each_comes_first_but_a_silent_one() -> None:
    hosts = Hosts(3, at_random=True)
    hosts.answered(0)
    hosts.silent(1)
    orders = [hosts.order(random.Random(seed).shuffle) for seed in range(50)]
    assert {order[0] for order in orders} == {0, 2}
    assert {order[-1] for order in orders} == {1}
