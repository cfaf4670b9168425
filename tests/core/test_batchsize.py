from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.batches import Form
from dbpool.core.batchsize import BatchSize
from dbpool.core.formtrial import FormTrial


def test_the_first_batches_are_small_whatever_comes() -> None:
    size = BatchSize(500)
    assert [size.next() for _ in range(4)] == [8, 64, 500, 500]
    assert [BatchSize(10).next() for _ in range(1)] == [8]


def test_a_batch_larger_than_all_before_waits_for_the_last_one() -> None:
    for most, leaps in ((500, [False, True, True, False]), (20, [False, True, False]), (8, [False, False])):
        size = BatchSize(most)
        assert [(size.leaps, size.next())[0] for _ in leaps] == leaps


def test_batches_that_take_long_get_smaller_and_grow_again_when_they_do_not() -> None:
    size = BatchSize(500)
    sizes = [size.next() for _ in range(3)]
    size.learn(500, 500, 0.2, failed=False)
    slow = size.next()
    assert slow == 50
    size.learn(slow, slow, 0.001, failed=False)
    assert size.next() == 100
    assert sizes[-1] == 500


def test_batches_with_many_rows_get_smaller() -> None:
    size = BatchSize(500)
    for _ in range(3):
        size.next()
    size.learn(500, 50_000, 0.01, failed=False)
    assert size.next() == 50


def test_a_failure_halves_them_until_twenty_went_well() -> None:
    size = BatchSize(400)
    for _ in range(2):
        size.next()
    size.learn(400, 0, 0.01, failed=True)
    assert size.next() == 200
    for _ in range(19):
        size.learn(200, 200, 0.01, failed=False)
    assert size.next() == 200
    size.learn(200, 200, 0.01, failed=False)
    assert size.next() == 400


@given(
    st.integers(1, 2000),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 100), st.booleans()), max_size=60),
)
def test_a_batch_has_at_least_one_item_and_never_more_than_the_most(
    most: int, batches: list[tuple[int, float, bool]]
) -> None:
    size = BatchSize(most)
    for rows, seconds, failed in batches:
        items = size.next()
        assert 1 <= items <= most
        size.learn(items, rows, seconds, failed=failed)
    assert 1 <= size.next() <= most


def test_a_form_is_tried_beside_the_next_only_where_items_are_slow() -> None:
    quick = FormTrial(Form.LATERAL, has_many=True)
    quick.learn(Form.LATERAL, 64, 0.001)
    assert quick.next() is Form.LATERAL
    slow = FormTrial(Form.LATERAL, has_many=True)
    slow.learn(Form.LATERAL, 8, 1.0)
    assert slow.next() is Form.LATERAL  # too few to tell
    slow.learn(Form.LATERAL, 64, 1.0)
    assert slow.next() is Form.MANY
    slow.learn(Form.MANY, 64, 0.1)
    assert slow.next() is Form.MANY


def test_a_form_stays_if_the_next_is_not_twice_as_quick() -> None:
    trial = FormTrial(Form.LATERAL, has_many=True)
    trial.learn(Form.LATERAL, 64, 1.0)
    trial.learn(Form.MANY, 64, 0.6)
    assert trial.next() is Form.LATERAL
    trial.learn(Form.LATERAL, 64, 1.0)
    assert trial.next() is Form.LATERAL  # that was tried


def test_there_may_be_nothing_to_try() -> None:
    for trial in (FormTrial(Form.LATERAL, has_many=False), FormTrial(Form.MANY, has_many=True)):
        form = trial.next()
        trial.learn(form, 64, 10.0)
        assert trial.next() is form
