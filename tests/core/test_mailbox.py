from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.mailbox import Gap, Mailbox, Notification


def note(number: int) -> Notification:
    return Notification("orders", str(number), 1)


def test_what_was_put_is_taken_in_order() -> None:
    box = Mailbox(3)
    for number in range(3):
        box.put(note(number))
    assert [box.take() for _ in range(4)] == [note(0), note(1), note(2), None]


def test_what_does_not_fit_is_counted_where_it_is_missing() -> None:
    box = Mailbox(1)
    for number in range(3):
        box.put(note(number))
    assert box.take() == note(0)
    box.put(note(3))
    assert [box.take() for _ in range(3)] == [Gap(2), note(3), None]


def test_a_break_makes_a_count_unknown_and_gaps_never_stand_side_by_side() -> None:
    box = Mailbox(1)
    box.put(note(0))
    box.put(note(1))
    box.put_break()
    box.put(note(2))
    box.put_break()
    assert [box.take() for _ in range(3)] == [note(0), Gap(None), None]


@given(st.integers(1, 4), st.lists(st.sampled_from(["put", "break", "take"]), max_size=60))
def test_nothing_is_lost_without_a_gap_and_memory_is_bounded(limit: int, steps: list[str]) -> None:
    box = Mailbox(limit)
    sent = 0
    taken: list[Notification | Gap] = []
    for step in steps:
        if step == "put":
            box.put(note(sent))
            sent += 1
        elif step == "break":
            box.put_break()
        elif (event := box.take()) is not None:
            taken.append(event)
        assert len(box) <= 2 * limit + 1
    while (event := box.take()) is not None:
        taken.append(event)
    after, is_known = 0, True  # the number that must come next, where that is known
    for event in taken:
        if isinstance(event, Notification):
            assert int(event.payload) == after or (not is_known and int(event.payload) > after)
            after, is_known = int(event.payload) + 1, True
        elif event.dropped is None:
            is_known = False
        else:
            after += event.dropped
    assert after == sent or not is_known
