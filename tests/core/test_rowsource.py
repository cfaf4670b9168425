from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbpool.core.rowsource import RowSource


def test_rows_pass_as_they_are() -> None:
    assert list(RowSource([(1,), (2,)])) == [(1,), (2,)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), KeyError("row")])
def test_what_goes_wrong_in_making_them_is_kept(error: BaseException) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise error

    source = RowSource(rows())
    with pytest.raises(ValueError, match="could not be made"):
        list(source)
    assert source.error is error


def test_a_stopped_source_fails_instead_of_ending_as_if_that_were_all() -> None:
    source = RowSource([(1,), (2,), (3,)])
    rows = iter(source)
    assert next(rows) == (1,)
    source.is_stopped = True
    with pytest.raises(ValueError, match="is gone"):
        next(rows)
    assert source.error is None
