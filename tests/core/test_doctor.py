"""What the doctor says of which facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from dbpool.core.doctor.examining import examine
from dbpool.core.doctor.facts import Clock, Facts, Pooler, Role, Setting, Tables, Transport
from dbpool.core.doctor.findings import Finding, Level, worst
from dbpool.core.doctor.settings import RULES, Rule
from dbpool.core.doctor.sizing import sizing_of
from dbpool.core.loadtest.budget import Fleet, Slots

UNIX = Transport(is_unix=True, is_local=True)
AWAY = Transport(is_unix=False, is_local=False)
HEALTHY = {
    **dict.fromkeys(("fsync", "full_page_writes", "autovacuum", "standard_conforming_strings", "log_lock_waits"), "on"),
    **dict.fromkeys(("idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"), "60000"),
    **dict.fromkeys(("jit", "default_transaction_read_only"), "off"),
    "client_connection_check_interval": "5000",
    "tcp_keepalives_idle": "60",
    "idle_session_timeout": "0",
    "synchronous_commit": "local",
    "track_activity_query_size": "4096",
    "password_encryption": "scram-sha-256",
    "ssl": "on",
}
ILL = {
    **dict.fromkeys(
        ("fsync", "full_page_writes", "autovacuum", "standard_conforming_strings", "log_lock_waits"), "off"
    ),
    **dict.fromkeys(("idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"), "0"),
    **dict.fromkeys(("jit", "default_transaction_read_only"), "on"),
    "client_connection_check_interval": "0",
    "tcp_keepalives_idle": "7200",
    "idle_session_timeout": "60000",
    "synchronous_commit": "off",
    "track_activity_query_size": "1024",
}
GOOD = Facts(
    version="18.6",
    version_number=180_006,
    role="app",
    database="shop",
    today=date(2026, 11, 28),
    transport=UNIX,
    is_pooled=False,
    slots=Slots(100, superuser_reserved=3),
    attributes=Role(
        is_superuser=False,
        bypasses_rls=False,
        creates_roles=False,
        creates_databases=False,
        replicates=False,
        owns_database=False,
        owned_tables=0,
    ),
    settings={name: Setting(raw, raw) for name, raw in HEALTHY.items()},
    is_standby=False,
    encoding="UTF8",
    has_jit=True,
    files=1024,
    tables=Tables(are_there=True, revision="0002", newest="0002"),
    clock=Clock(0.001, 0.0005),
    round_trip_ms=0.3,
    connect_ms=8.0,
)
NOTHING = Facts(
    version="18", version_number=180_000, role="app", database="shop", today=date(2026, 11, 28), transport=UNIX
)
ONE = Fleet()


def of(facts: Facts, fleet: Fleet = ONE) -> dict[str, Finding]:
    return {finding.code: finding for finding in examine(facts, sizing_of(facts.slots, fleet))}


def with_setting(name: str, value: str, facts: Facts = GOOD) -> Facts:
    return replace(facts, settings={**facts.settings, name: Setting(value, value)})


def test_a_server_that_is_well_set_up_is_all_right() -> None:
    assert {finding.level for finding in of(GOOD).values()} == {Level.OK}


def test_what_cannot_be_seen_is_not_guessed() -> None:
    levels = {code: finding.level for code, finding in of(NOTHING).items()}
    assert {code for code, level in levels.items() if level is not Level.UNKNOWN} == {"version.support", "tls.use"}
    assert worst(of(NOTHING).values()) is Level.UNKNOWN


def test_every_rule_about_a_setting_has_a_case_here() -> None:
    assert {rule.name for rule in RULES} == set(ILL)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_setting_that_hurts_is_found_with_what_mends_it(rule: Rule) -> None:
    name = rule.name
    facts = with_setting(name, ILL[name], replace(GOOD, transport=AWAY))
    found = of(facts)[f"settings.{name}"]
    assert found.level >= Level.ADVICE
    assert found.why
    assert name in found.fix
    assert "{" not in found.what + found.fix.replace("{'", "")


@pytest.mark.parametrize(
    ("facts", "code", "level"),
    [
        (replace(GOOD, version_number=130_020), "version.support", Level.WARNING),
        (replace(GOOD, version_number=90_624), "version.support", Level.WARNING),
        (replace(GOOD, version_number=150_004, today=date(2027, 8, 1)), "version.support", Level.ADVICE),
        (replace(GOOD, version_number=190_000), "version.support", Level.UNKNOWN),
        (replace(GOOD, transport=AWAY), "tls.use", Level.PROBLEM),
        (replace(GOOD, transport=replace(AWAY, tls="TLSv1.3")), "tls.verify", Level.WARNING),
        (replace(GOOD, transport=replace(AWAY, tls="TLSv1.3", is_certified=True)), "tls.verify", Level.WARNING),
        (
            replace(GOOD, transport=replace(AWAY, tls="TLSv1.3", is_certified=True, is_named=True)),
            "tls.use",
            Level.OK,
        ),
        (with_setting("password_encryption", "md5"), "tls.md5", Level.WARNING),
        (replace(GOOD, is_pooled=True, pooler=Pooler()), "pooler.mode", Level.UNKNOWN),
        (replace(GOOD, is_pooled=True, pooler=Pooler(is_shared=False)), "pooler.mode", Level.OK),
        (replace(GOOD, is_pooled=True, pooler=Pooler(True, True)), "pooler.mode", Level.ADVICE),
        (replace(GOOD, is_pooled=True, pooler=Pooler(True, False)), "pooler.prepared", Level.ADVICE),
        (replace(GOOD, is_pooled=True, pooler=Pooler(True, None, False)), "pooler.mode", Level.PROBLEM),
        (replace(GOOD, is_standby=True), "state.standby", Level.WARNING),
        (replace(GOOD, encoding="SQL_ASCII"), "state.encoding", Level.WARNING),
        (replace(GOOD, files=150), "limits.files", Level.WARNING),
        (replace(GOOD, slots=Slots(100, others=95)), "limits.slots", Level.WARNING),
        (replace(GOOD, slots=Slots(100, others=100)), "limits.fleet", Level.PROBLEM),
        (replace(GOOD, round_trip_ms=25.0), "network.round_trip", Level.ADVICE),
        (replace(GOOD, clock=Clock(-3.0, 0.01)), "network.clock", Level.WARNING),
        (replace(GOOD, clock=Clock(-3.0, 2.5)), "network.clock", Level.OK),
        (replace(GOOD, tables=Tables(True, "0001", "0002")), "tables.jobs", Level.WARNING),
        (replace(GOOD, tables=Tables(True, "0003", "0002")), "tables.jobs", Level.WARNING),
        (replace(GOOD, tables=Tables(True, None, "0002")), "tables.jobs", Level.UNKNOWN),
        (replace(GOOD, tables=Tables(False, None, "0002")), "tables.jobs", Level.OK),
    ],
)
def test_a_fact_has_its_level(facts: Facts, code: str, level: Level) -> None:
    found = of(facts)[code]
    assert found.level is level
    assert bool(found.why and found.fix) == (level >= Level.ADVICE)


@pytest.mark.parametrize(
    ("right", "code"),
    [
        ("is_superuser", "role.superuser"),
        ("bypasses_rls", "role.bypassrls"),
        ("owns_database", "role.owner"),
        ("creates_roles", "role.rights"),
        ("creates_databases", "role.rights"),
        ("replicates", "role.rights"),
    ],
)
def test_a_right_that_an_application_need_not_have_is_told(right: str, code: str) -> None:
    assert GOOD.attributes is not None
    found = of(replace(GOOD, attributes=replace(GOOD.attributes, **{right: True})))
    assert found[code].level >= Level.ADVICE


def test_a_connection_on_this_machine_needs_no_keepalives_over_a_socket() -> None:
    assert "settings.tcp_keepalives_idle" not in of(with_setting("tcp_keepalives_idle", "7200"))


def test_the_pool_size_is_what_each_instance_can_have_during_a_deployment() -> None:
    sizing = sizing_of(Slots(100, superuser_reserved=3, others=20, others_of_role=12), Fleet(4, 1.5, 10))
    assert sizing is not None
    assert (sizing.share, sizing.share_of_role) == (11, 13)  # (97 - 20 - 10) / 6, (97 - 8 - 10) / 6
    assert sizing.arguments == {
        "Python": "DatabasePool(dsn, max_connections=13)",
        "environment": "DBPOOL_MAX_CONNECTIONS=13",
        "load test": "dbpool loadtest run --instances 4 --surge 1.5 --reserve 10",
    }
