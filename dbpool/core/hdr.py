"""Histograms as text that every HdrHistogram tool reads: its V2 compressed format, in base64.

Source: AbstractHistogram.encodeIntoCompressedByteBuffer of HdrHistogram (Java) 2.1, "V2EncodingCookie". Counts are
ZigZag LEB128 numbers: one above 0 is a bucket's count, one below 0 is how many empty buckets follow.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from struct import Struct

from dbpool.core.histogram import Histogram, bounds_of

COOKIE = 0x1C849303 | 0x10  # 0x10: numbers of variable length
COMPRESSED_COOKIE = 0x1C849304 | 0x10
DIGITS = 3
LOWEST = 1
HIGHEST = 3_600_000_000_000  # 1 h in ns: what tools that draw these take for their own, and no more room than needed

_ENVELOPE = Struct(">II")  # cookie, length of what follows
_HEADER = Struct(">IIIIQQd")  # cookie, length of the counts, offset, digits, lowest, highest, ratio of conversion


def encode(histogram: Histogram) -> str:
    """*histogram* in HdrHistogram's V2 format; its exact mean, minimum and maximum are not part of that."""
    buckets, counts = histogram.columns()
    payload = bytes(_bytes_of(_runs(buckets, counts)))
    highest = max(HIGHEST, bounds_of(buckets[-1])[1] if buckets else 0)
    body = zlib.compress(_HEADER.pack(COOKIE, len(payload), 0, DIGITS, LOWEST, highest, 1.0) + payload)
    return b64encode(_ENVELOPE.pack(COMPRESSED_COOKIE, len(body)) + body).decode("ascii")


def decode(text: str) -> Histogram:
    """The histogram that ``encode`` wrote, as ``Histogram.of_counts`` makes it.

    Raises:
        ValueError: *text* is something else, is cut short, or has another layout than ``Histogram``.
    """
    try:
        raw = b64decode(text, validate=True)
        cookie, length = _ENVELOPE.unpack_from(raw)
        body = zlib.decompress(raw[_ENVELOPE.size :]) if length == len(raw) - _ENVELOPE.size else b""
        inner, counts_length, offset, digits, lowest, _, _ = _HEADER.unpack_from(body)
    except Exception as error:  # binascii, struct and zlib each have an error of their own
        raise ValueError(f"not a histogram in HdrHistogram's V2 format: {error}") from error
    if (cookie, inner) != (COMPRESSED_COOKIE, COOKIE) or counts_length != len(body) - _HEADER.size:
        raise ValueError(f"not a histogram in HdrHistogram's V2 format: cookies {cookie:#x} and {inner:#x}")
    if (offset, digits, lowest) != (0, DIGITS, LOWEST):
        raise ValueError(f"a histogram of {digits} digits from {lowest}, not of {DIGITS} digits from {LOWEST}")
    return Histogram.of_counts(dict(_counts(_numbers_of(body[_HEADER.size :]))))


def _runs(buckets: Iterable[int], counts: Iterable[int]) -> Iterator[int]:
    bucket = 0
    for at, count in zip(buckets, counts, strict=True):
        if at > bucket:
            yield bucket - at
        yield count
        bucket = at + 1


def _counts(runs: Iterable[int]) -> Iterator[tuple[int, int]]:
    bucket = 0
    for run in runs:
        if run < 0:
            bucket -= run
        else:
            yield bucket, run
            bucket += 1


def _bytes_of(numbers: Iterable[int]) -> Iterator[int]:
    for number in numbers:
        left = number << 1 if number >= 0 else (-number << 1) - 1
        while left > 0x7F:
            yield left & 0x7F | 0x80
            left >>= 7
        yield left


def _numbers_of(payload: bytes) -> Iterator[int]:
    shift = zigzag = 0
    for byte in payload:
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            yield zigzag >> 1 if not zigzag & 1 else -(zigzag >> 1) - 1
            shift = zigzag = 0
    if shift:
        raise ValueError("a histogram that is cut short")
