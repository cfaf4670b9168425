"""What a load test does not do to a server unless it is told to."""

from __future__ import annotations

from dbpool.errors import DbPoolError
from dbpool.loadtest.server.limits import Limits
from dbpool.wording import counted


class Refused(DbPoolError):
    """It would take connections that others may need; nothing was done."""


def check_room(limits: Limits, connections: int, *, most: int | None, is_forced: bool) -> None:
    """Refuse to take so many that others may find none.

    Args:
        most: ``--max-connections``, instead of the usual cap: usable slots less a tenth (5 at least), less those that
            others hold.
    Raises:
        Refused: *connections* are more than that.
    """
    cap = limits.cap if most is None else most
    if connections <= cap or is_forced:
        return
    if most is not None:
        raise Refused(f"this would take {counted(connections, 'connection')}, and --max-connections allows {most}")
    raise Refused(
        f"this would take {counted(connections, 'connection')}, and {cap} may be taken: {limits.usable} are usable, "
        f"others hold {limits.others}, and a tenth, 5 at least, is left for who comes. Lower --pool-size, say how many "
        f"with --max-connections, or --force it"
    )


def check_reach(limits: Limits, connections: int, what: str, *, most: int | None, is_forced: bool) -> None:
    """Refuse *what* would take *connections*, of which some may find no slot, while others use the server.

    Args:
        most: ``--max-connections``, above which nothing goes unless it is forced.
    Raises:
        Refused: it would take more than it may.
    """
    if most is not None:
        check_room(limits, connections, most=most, is_forced=is_forced)
    elif connections > limits.cap:
        check_alone(limits, f"{what} leaves no connection to others", is_forced=is_forced)


def check_alone(limits: Limits, what: str, *, is_forced: bool) -> None:
    """Refuse what is not for a server that others use.

    Args:
        what: it does to others, as a sentence's first half.
    Raises:
        Refused: somebody uses it.
    """
    if limits.others and not is_forced:
        raise Refused(
            f"{what}, and {counted(limits.others, 'session')} of others "
            f"{'is' if limits.others == 1 else 'are'} on this server now: --force it if they may suffer"
        )
