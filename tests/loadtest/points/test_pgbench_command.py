"""The command line that has pgbench do a load, and what it cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbpool.core.arrivals import Arrival
from dbpool.core.stages import Stage
from dbpool.errors import SettingsError
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload
from dbpool.loadtest.pgbench.command import Command, check, command_of, without_password
from dbpool.loadtest.scripts.sqltemplate import QueryMode

TARGET = Target("postgresql://app:s%40cret@h:1/shop", DriverName.PGBENCH, 4, application_name="ours")
WORKLOAD = Workload(
    (Part("a", 3, script="select 1"), Part("b", script="select 2")), QueryMode.SIMPLE, 7, 42, {"x": "1"}
)
CLOSED = Load(clients=4, warmup_s=1.5, time_s=3.0)
OPEN = replace(CLOSED, stages=(Stage(3.0, 250.5, 250.5),), limit_s=0.05)


def command(load: Load) -> Command:
    check(TARGET, load, WORKLOAD)
    files = [Path("/x/0.sql"), Path("/x/1.sql")]
    return command_of("pgbench", TARGET, load, WORKLOAD, threads=2, files=files, log=Path("/x/log"))


def test_a_closed_load_is_clients_for_whole_seconds() -> None:
    words = command(CLOSED).words
    for word in ("--client=4", "--jobs=2", "--time=5", "--protocol=simple", "--scale=7", "--random-seed=42"):
        assert word in words
    assert words[-4:] == [
        "--define=x=1",
        "--file=/x/0.sql@3",
        "--file=/x/1.sql@1",
        "postgresql://app@h:1/shop",
    ]
    assert not [word for word in words if word.startswith(("--rate", "--latency-limit", "--max-tries"))]
    assert "--max-tries=0" in command(replace(CLOSED, max_tries=0)).words


def test_an_open_load_is_a_rate_on_as_many_connections_as_the_pool_has() -> None:
    words = command(replace(OPEN, clients=99)).words
    for word in ("--client=4", "--rate=250.5", "--latency-limit=50"):
        assert word in words


def test_the_password_is_in_the_environment_alone() -> None:
    made = command(CLOSED)
    assert "cret" not in " ".join(made.words)
    assert made.environment["PGPASSWORD"] == "s@cret"
    assert (made.environment["PGAPPNAME"], made.environment["PGCONNECT_TIMEOUT"]) == ("ours", "10")


def test_another_machine_must_show_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where there may be a root.crt
    for name in ("PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    told = command(CLOSED).environment
    assert (told["PGSSLMODE"], told["PGSSLROOTCERT"]) == ("verify-full", "system")
    monkeypatch.setenv("PGSSLROOTCERT", "/x/ca.pem")
    assert "PGSSLROOTCERT" not in command(CLOSED).environment
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert command(CLOSED).environment["PGSSLMODE"] == "disable"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://h/d", ("postgresql://h/d", None)),
        ("postgresql://a@/d?host=/tmp/x&port=5", ("postgresql://a@/d?host=%2Ftmp%2Fx&port=5", None)),
        ("postgresql://a:b%3A@h,i:2/d?sslmode=disable", ("postgresql://a@h,i:2/d?sslmode=disable", "b:")),
        ("postgresql://a@h/d?password=p%20q&sslmode=disable", ("postgresql://a@h/d?sslmode=disable", "p q")),
    ],
)
def test_an_address_goes_without_its_password(dsn: str, expected: tuple[str, str | None]) -> None:
    assert without_password(dsn) == expected


@pytest.mark.parametrize(
    ("load", "target", "words"),
    [
        ({"clients": 5}, {}, "--pool-size must be --clients"),
        ({}, {"connections": 8}, "--pool-size must be --clients"),
        ({}, {"gate": 2}, "no gate"),
        ({}, {"min_connections": 0}, "opens all its connections first"),
        ({"timeout_s": 5.0}, {}, "leave --timeout out"),
        ({"stages": (Stage(3.0, 1, 9),)}, {}, "no stages or ramps"),
        ({"stages": (Stage(1.0, 9, 9), Stage(2.0, 8, 8))}, {}, "no stages or ramps"),
        ({"stages": (Stage(3.0, 9, 9),), "warmup_rate": 5.0}, {}, "no stages or ramps"),
        ({"client_stages": (Stage(3.0, 1, 4),)}, {}, "all its clients from the begin"),
        ({"stages": (Stage(3.0, 9, 9),), "arrival": Arrival.CONSTANT}, {}, "Poisson"),
        ({"limit_s": 1.0, "skip_after_s": 2.0}, {}, "later than the latency limit"),
    ],
)
def test_what_pgbench_cannot_do_is_refused_in_a_sentence(
    load: dict[str, Any], target: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        check(replace(TARGET, **target), replace(CLOSED, **load), WORKLOAD)


def test_a_function_is_no_script() -> None:
    with pytest.raises(SettingsError, match="scripts only"):
        check(TARGET, CLOSED, Workload((Part("f", target="m:f"),)))
