"""What may be done about an SQLSTATE, and how long to wait before the next try."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.retry import Backoff, Verdict, verdict

# One row each of "Error -> action" in research/reliability.md and of the codes that its classes stand for.
TABLE = [
    ("40001", Verdict.RETRY_TRANSACTION),
    ("40P01", Verdict.RETRY_TRANSACTION),
    ("55P03", Verdict.CALLER),  # lock_not_available: asked for by NOWAIT or lock_timeout, so the caller's to repeat
    ("57014", Verdict.CALLER),  # query_canceled: the connection is as good as before
    ("22012", Verdict.CALLER),
    ("22P02", Verdict.CALLER),
    ("23505", Verdict.CALLER),
    ("23503", Verdict.CALLER),
    ("42601", Verdict.CALLER),
    ("42P01", Verdict.CALLER),
    ("0A000", Verdict.CALLER),
    ("25006", Verdict.CALLER),
    ("25P02", Verdict.CALLER),
    ("40000", Verdict.CALLER),
    ("40002", Verdict.CALLER),
    ("53100", Verdict.CALLER),
    ("XX000", Verdict.CALLER),
    ("P0001", Verdict.CALLER),
    ("26000", Verdict.DISCARD),
    ("42P05", Verdict.DISCARD),
    ("08P01", Verdict.DISCARD),
    ("57P01", Verdict.LOST),
    ("57P02", Verdict.LOST),
    ("57P03", Verdict.LOST),
    ("57P05", Verdict.LOST),
    ("08000", Verdict.LOST),
    ("08001", Verdict.LOST),
    ("08003", Verdict.LOST),
    ("08006", Verdict.LOST),
    ("25P03", Verdict.LOST),
    ("25P04", Verdict.LOST),
    ("53300", Verdict.FULL),
    ("28P01", Verdict.DENIED),
    ("28000", Verdict.DENIED),
    ("3D000", Verdict.DENIED),
    ("57P04", Verdict.DENIED),
    ("", Verdict.CALLER),
    ("ZZZZZ", Verdict.CALLER),
    (None, Verdict.LOST),
]


@pytest.mark.parametrize(("sqlstate", "expected"), TABLE)
def test_each_sqlstate_has_its_verdict(sqlstate: str | None, expected: Verdict) -> None:
    assert verdict(sqlstate) is expected


@given(st.text(max_size=8))
def test_any_text_has_a_verdict(sqlstate: str) -> None:
    assert isinstance(verdict(sqlstate), Verdict)


def test_nothing_that_may_have_been_stored_is_called_safe_to_repeat() -> None:
    """Only a serialization failure and a deadlock prove that nothing was stored and that another try may work."""
    codes = {error.sqlstate for error in vars(asyncpg).values() if hasattr(error, "sqlstate")}
    assert len(codes) > 200
    repeatable = {code for code in codes if verdict(code) is Verdict.RETRY_TRANSACTION}
    assert repeatable == {"40001", "40P01"}


def test_every_verdict_is_given_for_some_sqlstate() -> None:
    assert {expected for _, expected in TABLE} == set(Verdict)


seconds = st.floats(1e-3, 60)


@given(first_s=seconds, cap_s=seconds, tries=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_a_wait_is_between_nothing_and_the_cap(first_s: float, cap_s: float, tries: int, chance: float) -> None:
    assert 0 <= Backoff(first_s, cap_s).delay_s(tries, chance) <= cap_s


@given(tries=st.integers(1, 100), chance=st.floats(0, 1))
def test_the_longest_wait_doubles_with_each_try_up_to_the_cap(tries: int, chance: float) -> None:
    backoff = Backoff(first_s=0.1, cap_s=3.0)
    longest = min(3.0, 0.1 * 2**tries)
    assert backoff.delay_s(tries, 1.0) == pytest.approx(longest)
    assert backoff.delay_s(tries, chance) == pytest.approx(chance * longest)


@given(tries=st.integers(1, 100))
def test_full_jitter_may_not_wait_at_all(tries: int) -> None:
    assert Backoff().delay_s(tries, 0.0) == 0.0
