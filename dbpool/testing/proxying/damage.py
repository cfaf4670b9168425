"""Messages that arrive otherwise than they were sent."""

from __future__ import annotations

from enum import Enum


class Damage(Enum):
    """What becomes of a message that is spoilt on its way, as by a fault in a program that passes it on."""

    LOST = "does not arrive; what follows goes on"
    TWICE = "arrives twice"
    HALF = "its second half does not arrive; what follows goes on"
    LETTER = "its letter is none that the protocol has"
    NEGATIVE = "its length is -1"
    LONGER = "its length is 8 more than it has bytes, so that it swallows what follows"
    SHORTER = "its length is 1 less than it has bytes, so that what follows begins too early"


_NO_LETTER = b"\x01"


def spoilt(head: bytes, body: bytes, damage: Damage) -> bytes:
    """What arrives of a message: *head* is its letter, if it has one, with its length."""
    letter, length = head[:-4], int.from_bytes(head[-4:])
    match damage:
        case Damage.LOST:
            return b""
        case Damage.TWICE:
            return 2 * (head + body)
        case Damage.HALF:
            whole = head + body
            return whole[: (len(whole) + 1) // 2]
        case Damage.LETTER:
            return _NO_LETTER[: len(letter)] + head[len(letter) :] + body
        case Damage.NEGATIVE:
            length = 0xFFFF_FFFF
        case Damage.LONGER:
            length += 8
        case Damage.SHORTER:
            length -= 1
    return letter + length.to_bytes(4) + body if head else body
