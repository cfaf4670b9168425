"""The digest of items: the same everywhere for the same values, another one for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool import UsageError
from dbpool.core.digests import SIZE, digest_of

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False).filter(lambda value: value != 0)  # -0.0 == 0.0, and they are not the same
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.decimals(allow_nan=False, places=2)
    | st.datetimes().map(lambda value: value.replace(fold=0))
    | st.dates()
    | st.times().map(lambda value: value.replace(fold=0))
    | st.timedeltas()
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
ITEMS = st.lists(VALUES | st.tuples(VALUES, VALUES), max_size=6)


class Colour(Enum):
    RED = "red"
    ROUGE = "rouge"


class Opaque:
    """Shows nothing of itself."""


def typed(value: object) -> object:
    """Equal only for values that are the same with their types."""
    if isinstance(value, (list, tuple)):
        return type(value), [typed(each) for each in value]
    if isinstance(value, dict):
        return dict, sorted((key, repr(typed(each))) for key, each in value.items())
    return type(value), str(value) if isinstance(value, Decimal) else value


@settings(max_examples=40, deadline=None)
@given(ITEMS, ITEMS)
def test_two_digests_are_the_same_just_when_values_and_types_are(one: list[object], other: list[object]) -> None:
    def plain(items: list[object]) -> list[object]:
        return [typed(item if isinstance(item, tuple) else (item,)) for item in items]

    assert (digest_of(one) == digest_of(other)) == (plain(one) == plain(other))


@settings(max_examples=40, deadline=None)
@given(ITEMS)
def test_a_digest_has_its_size_and_does_not_change(items: list[object]) -> None:
    assert len(digest_of(items)) == SIZE
    assert digest_of(items) == digest_of(list(items))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], ["1"]),
        ([1], [True]),
        ([1], [1.0]),
        ([0.0], [-0.0]),
        ([b"a"], ["a"]),
        ([Decimal(1)], [1]),
        ([None], [""]),
        ([None, 1], [1, None]),
        ([1, 2], [2, 1]),
        ([1, 2], [(1, 2)]),
        (["ab", "c"], ["a", "bc"]),
        ([("a", "bc")], [("ab", "c")]),
        ([[1], 2], [[1, 2]]),
        ([(1, 2), (3, 4)], [(1, 3), (2, 4)]),
        ([(1,), (2, 3)], [(1, 2), (3,)]),
        ([date(2026, 1, 1)], [datetime(2026, 1, 1)]),  # noqa: DTZ001 - without a zone is what is meant
        ([2**63 - 1], [2**63]),
        ([{"a": 1}], [{"a": 2}]),
        ([{1, 2}], [{1, 3}]),
        ([Colour.RED], [Colour.ROUGE]),
        ([Colour.RED], ["red"]),
        ([()], []),
        ([()], [(), ()]),
        ([1], [1, 1]),
        (["\ud800"], ["\ud801"]),
    ],
)
def test_what_differs_has_another_digest(one: Sequence[object], other: Sequence[object]) -> None:
    assert digest_of(one) != digest_of(other)


def test_an_item_is_the_same_as_a_tuple_of_it() -> None:
    assert digest_of([1, 2, 3]) == digest_of([(1,), (2,), (3,)]) == digest_of([1, (2,), 3])


def test_the_order_in_dicts_and_sets_does_not_count() -> None:
    assert digest_of([{"a": 1, "b": 2}]) == digest_of([{"b": 2, "a": 1}])
    assert digest_of([{"x", "y", "z"}]) == digest_of([frozenset({"z", "y", "x"})])


# As they stand in ledgers: with others, every job that was begun before would refuse to go on.
@pytest.mark.parametrize(
    ("items", "known"),
    [
        ([1, 2, 3], "e0c51413e84342905426fa35bd0894a7"),
        ([0.5, -1.5], "19fa3985df9175cbfb2d53ebb2867bd1"),
        (["a", "bc"], "3b9861768c78b4f6aefed3b2fcf90cb8"),
        ([(1, "a"), (2, None)], "4d15d357a576f485672ba115f4b7e03d"),
        ([(1,), (2, 3)], "cc4e3ad5bad1df145a57d072df03215b"),
        ([None, True, Decimal("1.50")], "09fc710e1d758292b5a4ca8772e11748"),
    ],
)
def test_digests_stay_what_they_are(items: list[object], known: str) -> None:
    assert digest_of(items).hex() == known


EVERYTHING = """[
    (1, 2.5, "text", None, True, b"bytes", Decimal("1.50"), date(2026, 11, 28), time(12, 30), timedelta(1, 2, 3)),
    (2**80, -0.0, "\\ud800 ü", 7, False, b"", Decimal("-1e9"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
     UUID(int=5), [1, "two", {"three": {"a", "b", "c", "d"}}]),
]"""


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_it_is_the_same_in_other_processes_whatever_their_hash_seed(seed: str) -> None:
    program = (
        "from datetime import *; from decimal import Decimal; from uuid import UUID\n"
        f"from dbpool.core.digests import digest_of; print(digest_of({EVERYTHING}).hex())"
    )
    env = os.environ | {"PYTHONHASHSEED": seed}
    said = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    here = {"date": date, "time": time, "timedelta": timedelta, "datetime": datetime, "UTC": UTC}
    items = eval(EVERYTHING, here | {"Decimal": Decimal, "UUID": UUID})
    assert said.stdout.strip() == digest_of(items).hex()


@pytest.mark.parametrize("value", [Opaque(), [Opaque()], lambda: 1])
def test_a_value_that_shows_nothing_of_itself_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="shows nothing of its content"):
        digest_of([1, value])
