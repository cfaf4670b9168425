"""Which items are in a chunk, which chunks are done."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool.core.chunks import Done, DoneSpan, first_item, items_in

CHUNKS = st.sets(st.integers(0, 60), max_size=40)


def digest(chunk: int) -> bytes:
    return chunk.to_bytes(16, "big")


def done_of(chunks: set[int]) -> Done:
    """As the ledger gives them: one span for each row of chunks without a gap."""
    spans: list[DoneSpan] = []
    for first in sorted(chunk for chunk in chunks if chunk - 1 not in chunks):
        last = next(chunk for chunk in range(first, 100) if chunk + 1 not in chunks)
        spans.append(DoneSpan(first, last, 10 * (last - first + 1), b"".join(map(digest, range(first, last + 1)))))
    return Done(reversed(spans))


@settings(max_examples=60, deadline=None)
@given(CHUNKS)
def test_each_chunk_is_found_with_its_own_digest_or_not_at_all(chunks: set[int]) -> None:
    done = done_of(chunks)
    for chunk in range(-1, 63):
        assert done.digest(chunk) == (digest(chunk) if chunk in chunks else None)
    assert done.last == max(chunks, default=-1)
    assert done.items == 10 * len(chunks)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(1, 40))
def test_chunks_hold_every_item_once(total: int, size: int) -> None:
    count = -(-total // size)
    sizes = [items_in(chunk, total, size) for chunk in range(count + 2)]
    assert sum(sizes) == total
    assert all(sizes[:count])
    assert sizes[count:] == [0, 0]
    assert [first_item(chunk, size) for chunk in range(count)] == [1 + sum(sizes[:chunk]) for chunk in range(count)]
