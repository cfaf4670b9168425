"""What is worked out of what writers noted: recoveries after restarts, and growth."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.known import ROOT
from tests.rigs.ledger.memory import Memory, looker
from tests.rigs.ledger.records import Fate, Kind
from tests.rigs.ledger.restarting import ENOUGH, Restart, p99, recoveries_ms, too_late
from tests.rigs.ledger.slope import ENOUGH_S, WARM_S, growth, too_steep

S = 1_000_000_000


def ledger_of(place: Path, *told: tuple[Fate, float]) -> Path:
    """With a record of each fate at its second."""
    file = place / "0.ledger"
    form = struct.Struct("<BBxxIQQQ")
    file.write_bytes(b"".join(form.pack(fate, Kind.ONE, 1, 0, 0, int(at * S)) for fate, at in told))
    return file


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(Fate.ACK, 9.9), (Fate.ACK, 20.25)], [250.0]),
        ([(Fate.ACK, 10.05), (Fate.ACK, 20.25)], [250.0]),  # an answer from before, noted a little later
        ([(Fate.NACK, 20.1), (Fate.ACK, 20.25)], [250.0]),
        ([(Fate.ACK, 19.9)], [0.0]),  # before the prober
        ([(Fate.ACK, 9.0)], []),
        ([(Fate.ACK, 31.0)], [10_000.0]),  # so late that it does not matter how late
        ([(Fate.NACK, 21.0), (Fate.UNKNOWN, 30.5)], [10_000.0]),  # and one that is never back
        ([(Fate.NACK, 29.0)], []),  # or perhaps it would have been
        ([(Fate.NONE, 18.0), (Fate.ACK, 20.25)], []),  # it was killed, and starts Python meanwhile
        ([(Fate.NONE, 1.0), (Fate.ACK, 20.25)], [250.0]),
    ],
)
def test_a_recovery_is_the_first_success_behind_the_probers(
    tmp_path: Path, told: list[tuple[Fate, float]], found: list[float]
) -> None:
    restart = Restart(ended_ns=10 * S, probed_ns=20 * S)
    assert recoveries_ms([ledger_of(tmp_path, *told)], [restart]) == found


def test_few_recoveries_have_no_percentile() -> None:
    assert p99([1.0] * (ENOUGH - 1)) is None
    assert p99([1.0] * ENOUGH) == 1.0


def test_growth_is_that_of_a_warm_process_over_long_enough() -> None:
    def grown(until_s: float) -> dict[str, float | None]:
        """By a step while it warms up, then by 2 MB an hour, of which half is used, and 700 objects."""
        steps = [(at, (at > WARM_S / 2) * 9_000_000 + int(at / 3600 * 2e6)) for at in range(int(until_s))]
        return growth([Memory(at, 50_000_000 + step, step // 2, int(at / 3600 * 700)) for at, step in steps])

    assert set(growth([]).values()) == {None}
    assert set(grown(WARM_S + ENOUGH_S - 10).values()) == {None}
    assert grown(WARM_S + ENOUGH_S + 10) == {
        "slope_mb_per_h": pytest.approx(2.0, abs=0.05),
        "slope_of_second_half_mb_per_h": None,
        "slope_in_use_mb_per_h": pytest.approx(1.0, abs=0.05),
        "slope_of_objects_per_h": pytest.approx(700, abs=20),
    }
    assert grown(WARM_S + 2 * ENOUGH_S + 10)["slope_of_second_half_mb_per_h"] == pytest.approx(2.0, abs=0.05)


def test_this_process_has_memory_and_uses_some_of_it() -> None:
    look = looker()
    gc.collect()  # or others' might go meanwhile
    before = look()
    kept = [bytearray(1_000_000) for _ in range(5)], [object() for _ in range(5000)]
    after = look()
    assert len(kept[0]) == 5
    assert after.at >= before.at
    assert after.resident > 1_000_000
    assert after.in_use - before.in_use >= 5_000_000
    assert after.objects - before.objects >= 5000


CHURN = """
import sys
from tests.rigs.ledger import bydbpool, writing
from tests.rigs.known import ROOT
from tests.rigs.ledger.memory import looker, settle
if sys.argv[1] == "settled":
    settle()
look = looker()
before = look().in_use
for number in range(20_000):
    sys.intern(f"come and gone {number}")
print(look().in_use - before)
"""


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="interned strings stay for ever in Python 3.12")
@pytest.mark.parametrize("settled", [False, True])
def test_the_interpreters_own_table_grows_before_it_is_looked_at(settled: bool) -> None:
    words = [sys.executable, "-c", CHURN, "settled" if settled else ""]
    grown = int(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    assert (grown < 100_000) is settled


def test_late_recoveries_are_held_against_the_pool() -> None:
    assert too_late([249.0] * ENOUGH) == []
    assert too_late([900.0] * (ENOUGH - 1)) == []
    assert too_late([900.0] * ENOUGH) == [f"the first success came 900 ms after the prober's (p99 of {ENOUGH})"]
    assert too_late([1.0, 10_000.0]) == ["a writer had no success for 10 s after the prober"]


def test_growth_is_held_against_the_pool_after_an_hour() -> None:
    def memory(mb_per_h: float, until_s: int) -> list[Memory]:
        return [Memory(at, 50_000_000 + int(at / 3600 * mb_per_h * 1e6), 0, 0) for at in range(0, until_s, 5)]

    assert too_steep(memory(0.9, 3600)) == []
    assert too_steep(memory(3.0, 1800)) == []
    assert too_steep(memory(3.0, 3600)) == ["a writer's memory grew by 3 MB an hour"]
