"""The data set: the same for the same seed, and shaped like a shop's."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace

import pytest

from dbpool.demo.orders import OrderRow, Skew, batches
from dbpool.demo.people import customers
from dbpool.demo.report import DataSet, Money, Pool, Refusals, Report, Setting, Speeds, Work
from dbpool.demo.workload import Latency


def orders(seed: int, count: int, people: int) -> list[OrderRow]:
    return [row for batch in batches(seed, count, Skew(seed, people)) for row in batch]


def test_a_seed_decides_every_row() -> None:
    assert orders(1, 6000, 300) == orders(1, 6000, 300)
    assert orders(1, 6000, 300) != orders(2, 6000, 300)
    assert list(customers(1, 300)) == list(customers(1, 300))
    assert list(customers(1, 300)) != list(customers(2, 300))


@pytest.mark.parametrize(("count", "people"), [(1, 1), (2, 1), (2500, 125), (2501, 125)])
def test_there_are_as_many_orders_as_asked_for(count: int, people: int) -> None:
    rows = orders(1, count, people)
    assert [row[0] for row in rows] == list(range(1, count + 1))
    assert {row[1] for row in rows} <= set(range(1, people + 1))


def test_a_few_customers_place_many_orders_and_most_place_some() -> None:
    counts = Counter(row[1] for row in orders(1, 20_000, 1000))
    assert 0.1 < sum(count for _, count in counts.most_common(10)) / 20_000 < 0.3
    assert len(counts) > 900


def test_orders_come_in_working_hours_and_most_of_them_are_shipped() -> None:
    rows = orders(1, 20_000, 1000)
    hours = Counter(row[2].hour for row in rows)
    assert hours[11] > 5 * hours[3]
    statuses = Counter(row[3] for row in rows)
    assert set(statuses) == {"new", "paid", "shipped", "cancelled"}
    assert 0.85 < statuses["shipped"] / 20_000 < 0.95


def test_every_address_is_of_one_customer_and_of_nobody_alive() -> None:
    people = list(customers(1, 2000))
    addresses = [email for _, email, *_ in people]
    assert len(set(addresses)) == 2000
    assert all(address.isascii() and ".example." not in address for address in addresses)
    assert {address.partition("@")[2] for address in addresses} == {"example.com", "example.org", "example.net"}


def test_percentiles_are_values_that_were_measured() -> None:
    assert Latency.of(array("d")) is None
    assert Latency.of(array("d", [3.0])) == Latency(3.0, 3.0, 3.0, 3.0)
    assert Latency.of(array("d", map(float, range(100, 0, -1)))) == Latency(50.0, 90.0, 99.0, 100.0)


REPORT = Report(
    Setting(
        dbpool_version="1", server_version="18", embedded=True, seed=1, bound=10, callers=1,
        first_result_s=1.0, total_s=2.0,
    ),
    DataSet(orders=1, customers=1, load_s=1.0, load_rows_per_s=1.0, dataset_checksum="0"),
    Work(
        queries=1, queries_s=1.0, throughput_per_s=1.0, p50_ms=1.0, p90_ms=1.0, p99_ms=1.0, longest_ms=1.0,
        waited=0, waited_share=0.0,
    ),
    Speeds(lookups_alone_per_s=1.0, lookups_coalesced_per_s=4.0, lookups_mapped_per_s=8.0),
    Pool(server_connections_max=10, server_connections_looks=9, handed_on=0, resets=0, connects=10, discarded=0),
    Money(transfers=1, transfer_retries=0, balance_before_cents=5, balance_after_cents=5),
    Refusals(
        acquire_timeout_message="",
        acquire_timeout_s=0.2,
        line_full_message="",
        line_full_s=0.0,
        served_in_line=3,
        deadlock_message="",
        deadlock_s=0.01,
    ),
)  # fmt: skip


def test_a_report_is_fine_when_the_bound_held_and_no_cent_is_missing() -> None:
    assert REPORT.problems() == []
    assert '"ok": true' in REPORT.as_json()


def test_a_connection_too_many_or_a_missing_cent_is_a_problem() -> None:
    too_many = replace(REPORT, pool=replace(REPORT.pool, server_connections_max=11))
    missing = replace(REPORT, money=replace(REPORT.money, balance_after_cents=4))
    assert ["11" in problem for problem in too_many.problems()] == [True]
    assert ["4 after" in problem for problem in missing.problems()] == [True]
    assert '"ok": false' in missing.as_json()
