"""How well a connection must be protected, by where it goes and by what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbpool.core.transport import is_near, mode_for, weakness
from dbpool.dsn import Dsn
from dbpool.errors import SettingsError
from dbpool.tls import Tls

NEAR = ["/tmp", "/run/postgresql", "localhost", "LocalHost", "127.0.0.1", "127.8.9.10", "::1"]
FAR = ["db", "localhost.example", "172.17.0.2", "10.0.0.1", "192.168.1.1", "0.0.0.0", "::", "fe80::1", "2001:db8::1"]
FAR += ["127.1", "2130706433", "localhost.", "host.docker.internal", "@/tmp", "127.0.0.1.example", ""]


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGSSLMODE", "PGHOST", "PGSERVICEFILE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", NEAR)
def test_this_machine_is_known(host: str) -> None:
    assert is_near(host)
    assert mode_for([host]) == "prefer"
    assert weakness("disable", [host], "ssl") is None


@pytest.mark.parametrize("host", FAR)
def test_whatever_could_be_another_is_taken_for_one(host: str) -> None:
    assert not is_near(host)
    assert mode_for(["localhost", host, "/tmp"]) == "verify-full"
    assert weakness("verify-full", [host], "ssl") is None
    for mode in ("disable", "allow", "prefer", "require", "verify-ca"):
        assert weakness(mode, [host, "localhost"], "ssl") is not None


@pytest.mark.parametrize(
    ("dsn", "mode"),
    [
        ("postgresql:///shop", "prefer"),
        ("postgresql:///shop?host=/tmp", "prefer"),
        ("postgresql://%2Ftmp/shop", "prefer"),
        ("postgresql://localhost/shop", "prefer"),
        ("postgresql://[::1]:5432/shop", "prefer"),
        ("postgresql:///shop?host=db", "verify-full"),
        ("postgresql://db/shop", "verify-full"),
        ("postgresql://[2001:db8::1]/shop", "verify-full"),
        ("postgresql://localhost,db:5433/shop", "verify-full"),
        ("postgresql://localhost%2Cdb/shop", "verify-full"),
        ("postgresql://localhost/shop?host=db", "prefer"),  # as the driver reads it
        ("postgresql://db/shop?sslmode=disable", "disable"),
        ("postgresql://db/shop?sslmode=verify_full", "verify-full"),
        ("postgresql://localhost/shop?sslmode=require", "require"),
        ("postgresql://localhost/shop?sslrootcert=system", "verify-full"),
        ("postgresql://db/shop?sslrootcert=/ca.pem&sslmode=require", "verify-ca"),  # as libpq does
    ],
)
def test_an_address_says_or_implies_it(dsn: str, mode: str) -> None:
    assert Tls(Dsn(dsn)).mode == mode


def test_what_the_setting_says_goes_before_the_address_and_that_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    assert Tls(Dsn("postgresql://db/shop")).mode == "require"
    assert Tls(Dsn("postgresql://db/shop?sslmode=prefer")).mode == "prefer"
    assert Tls(Dsn("postgresql://db/shop?sslmode=prefer"), "disable").mode == "disable"
    assert Tls(Dsn("postgresql://db/shop?sslmode=prefer"), True).mode == "verify-full"
    assert Tls(Dsn("postgresql://db/shop"), False).mode == "disable"
    monkeypatch.setenv("PGSSLMODE", "none")
    with pytest.raises(SettingsError, match="the sslmode that PGSSLMODE gives is none of disable"):
        Tls(Dsn("postgresql://db/shop"))


def test_hosts_and_more_may_stand_in_the_environment_and_in_a_services_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services"
    services.write_text("[far]\nhost=db\npassword=50%\n[weak]\nhost=db\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert Tls(Dsn("postgresql:///shop?service=far")).mode == "verify-full"
    assert Tls(Dsn("postgresql:///shop?service=weak")).mode == "require"
    assert Tls(Dsn("postgresql:///shop?service=weak&sslmode=verify-full")).mode == "verify-full"
    assert Tls(Dsn("postgresql:///shop?service=none")).mode == "prefer"
    monkeypatch.setenv("PGHOST", "db")
    assert Tls(Dsn("postgresql:///shop")).mode == "verify-full"
