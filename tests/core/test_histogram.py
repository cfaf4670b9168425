"""Histograms: each value in the bucket that HdrHistogram has for it, merged exactly, silent where n is too small."""

from __future__ import annotations

import zlib
from array import array
from base64 import b64decode, b64encode
from math import ceil
from random import Random

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core import hdr
from dbpool.core.histogram import SINGLE, Histogram, bounds_of, bucket_of, is_enough, merged

HOUR = hdr.HIGHEST
durations = st.one_of(st.integers(0, 5000), st.integers(0, HOUR), st.sampled_from([0, 1, SINGLE, SINGLE + 1, HOUR]))
samples = st.lists(durations, max_size=60)
shares = st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.5, 0.9, 0.99, 0.999]))


def oracle_of(values: list[int]) -> HdrHistogram:
    oracle = HdrHistogram(1, HOUR, 3)
    for value in values:
        assert oracle.record_value(value)
    return oracle


def with_counts(counts: bytes) -> str:
    """An export with these bytes for its counts."""
    raw = b64decode(hdr.encode(Histogram()))
    header = bytearray(zlib.decompress(raw[8:]))
    header[4:8] = len(counts).to_bytes(4, "big")
    body = zlib.compress(header + counts)
    return b64encode(raw[:4] + len(body).to_bytes(4, "big") + body).decode("ascii")


@given(durations)
def test_a_value_is_in_the_bucket_that_hdrhistogram_has_for_it(value: int) -> None:
    oracle = HdrHistogram(1, HOUR, 3)
    bucket = bucket_of(value)
    assert bucket == oracle.get_counts_array_index(value)
    assert bounds_of(bucket) == (oracle.get_lowest_equivalent_value(value), oracle.get_highest_equivalent_value(value))


@given(st.integers(0, 2**70))
def test_a_bucket_holds_its_value_within_one_part_in_1024(value: int) -> None:
    lowest, highest = bounds_of(bucket_of(value))
    assert lowest <= value <= highest
    assert (highest - lowest) * 1024 <= value
    assert bucket_of(highest + 1) == bucket_of(value) + 1


@given(samples)
def test_values_added_together_are_counted_as_hdrhistogram_counts_them_one_by_one(values: list[int]) -> None:
    oracle = oracle_of(values)
    buckets, counts = Histogram(array("q", values)).columns()
    assert list(buckets) == sorted({bucket_of(value) for value in values})
    assert [oracle.get_count_at_index(bucket) for bucket in buckets] == list(counts)
    assert sum(counts) == oracle.get_total_count()


@given(samples)
def test_count_mean_minimum_and_maximum_are_exact(values: list[int]) -> None:
    counted = Histogram(values)
    assert counted.n == len(values)
    if values:
        assert (counted.min, counted.max) == (min(values), max(values))
        assert counted.mean == sum(values) / len(values)
    else:
        assert (counted.min, counted.max, counted.mean) == (None, None, None)


@given(st.lists(samples, max_size=5))
def test_merging_is_the_same_as_adding_everything_to_one(parts: list[list[int]]) -> None:
    assert merged(map(Histogram, parts)) == Histogram([value for part in parts for value in part])


@given(st.lists(durations, min_size=1, max_size=400), shares)
def test_a_quantile_is_the_value_of_its_rank_within_the_width_of_a_bucket(values: list[int], p: float) -> None:
    found = Histogram(values).quantile(p)
    if not is_enough(len(values), p):
        assert found is None
        return
    wanted = sorted(values)[max(1, ceil(round(p * len(values), 9))) - 1]
    assert found == min(bounds_of(bucket_of(wanted))[1], max(values))


def test_each_quantile_of_a_thousand_values_is_the_one_of_its_rank() -> None:
    counted = Histogram(range(1, 1001))
    assert [counted.quantile(rank / 1000) for rank in range(1, 991)] == list(range(1, 991))
    assert counted.quantile(0.9891) == 990
    assert 0.07 * 100 > 7  # as floats have it
    assert Histogram(range(1, 101)).quantile(0.07) == 7


def test_a_quantile_is_never_above_the_maximum() -> None:
    assert Histogram([1_000_001] * 100).quantile(0.5) == 1_000_001


def test_quantiles_are_those_of_hdrhistogram() -> None:
    random = Random(7)
    values = [int(random.lognormvariate(14, 1.2)) for _ in range(100_000)]
    counted, oracle = Histogram(values), oracle_of(values)
    for p in (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999):
        assert counted.quantile(p) == oracle.get_value_at_percentile(p * 100)


@pytest.mark.parametrize(("p", "n"), [(0.5, 20), (0.9, 100), (0.99, 1000), (0.999, 10_000), (0.9999, 100_000)])
def test_a_quantile_needs_ten_values_beyond_it(p: float, n: int) -> None:
    values = list(range(n))
    assert Histogram(values).quantile(p) is not None
    assert Histogram(values[1:]).quantile(p) is None


@pytest.mark.parametrize("p", [-0.1, 1.0, 99])
def test_a_share_outside_0_to_1_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="must be at least 0 and below 1"):
        Histogram([1]).quantile(p)


def test_a_value_below_0_is_refused_whole() -> None:
    counted = Histogram([5])
    with pytest.raises(ValueError, match="-1 ns"):
        counted.add([3, -1])
    assert counted == Histogram([5])


@given(samples)
def test_hdrhistogram_reads_back_what_is_exported(values: list[int]) -> None:
    counted = Histogram(values)
    read = HdrHistogram.decode(hdr.encode(counted))
    buckets, counts = counted.columns()
    assert read.get_total_count() == len(values)
    assert [read.get_count_at_index(bucket) for bucket in buckets] == list(counts)
    assert (read.get_min_value(), read.get_max_value()) == (
        (bounds_of(buckets[0])[0], bounds_of(buckets[-1])[1]) if values else (0, 0)
    )


@given(samples)
def test_what_hdrhistogram_exports_is_read(values: list[int]) -> None:
    read = hdr.decode(oracle_of(values).encode().decode("ascii"))
    assert read.columns() == Histogram(values).columns()


@given(st.lists(st.integers(0, 2**62), max_size=30))
def test_what_is_exported_is_read_back(values: list[int]) -> None:
    counted = Histogram(values)
    read = hdr.decode(hdr.encode(counted))
    assert read.columns() == counted.columns()
    if values:
        assert read.n == counted.n
        assert read.mean == pytest.approx(counted.mean, rel=1 / 1024)
        assert read.min is not None
        assert read.max is not None
        assert read.min <= min(values)
        assert max(values) <= read.max


def test_hdrhistogram_reads_back_what_took_longer_than_an_hour() -> None:
    read = HdrHistogram.decode(hdr.encode(Histogram([5 * HOUR])))
    assert bucket_of(read.get_max_value()) == bucket_of(5 * HOUR)


def test_a_count_of_many_bytes_is_exported_whole() -> None:
    counted = Histogram([1, 2000, 9_999_999])
    for _ in range(40):
        counted.merge(counted)
    assert hdr.decode(hdr.encode(counted)).columns() == counted.columns()
    assert HdrHistogram.decode(hdr.encode(counted)).get_total_count() == 3 << 40


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", hdr.encode(Histogram([7]))[:-4]])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a histogram"):
        hdr.decode(text)


def test_counts_that_are_cut_short_are_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        hdr.decode(with_counts(b"\x02\x80"))


def test_more_or_less_than_the_announced_length_is_refused() -> None:
    raw = b64decode(hdr.encode(Histogram([7])))
    body = zlib.compress(zlib.decompress(raw[8:]) + b"\x02")
    with pytest.raises(ValueError, match="not a histogram"):
        hdr.decode(b64encode(raw[:4] + len(body).to_bytes(4, "big") + body).decode("ascii"))


def test_a_histogram_of_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="2 digits"):
        hdr.decode(HdrHistogram(1, HOUR, 2).encode().decode("ascii"))


def test_another_cookie_is_refused() -> None:
    raw = bytearray(b64decode(hdr.encode(Histogram([7]))))
    raw[3] ^= 1
    with pytest.raises(ValueError, match="cookies"):
        hdr.decode(b64encode(raw).decode("ascii"))
