"""Whether an object can be reached through the variables of certain suspended tasks only."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Any, TypeVar

from dbpool.awaits import chain

T = TypeVar("T")

# Between a task's variable and a connection lie an exit stack or a repository, say, each of a handful of objects. What
# has more in between belongs to half of the program.
MOST_BETWEEN = 40


class InnerRef(weakref.ref[T]):
    """A weak reference of this package's own, which it lets nobody have."""

    __slots__ = ()


def only_held_by(things: list[object], tasks: Iterable[asyncio.Task[Any]], known: Collection[object] = ()) -> bool:
    """Whether the suspended *tasks*, when they run again, can get at each of *things*, and nobody else can at any.

    False when in doubt, and of a thing that nobody can get at: it is gone when the garbage collector next looks.

    Looks for all that refers to the things, for all that refers to this, and so on, until nothing is left but the
    coroutines and generators of which the tasks are made. For each object as many references must be found as Python
    has counted, so one that cannot be seen (a C library's, a thread's variable) is a doubt. A weak one is, too,
    unless it is an ``InnerRef`` or one of the things itself.

    To be called from a callback of the event loop, when no task runs: the variables of what runs cannot be seen. The
    caller keeps *things* in that list only, in no variable of its own.

    Args:
        known: objects that refer to things but let nobody have them; who refers to these does not matter.

    Costs a few passes over all that the garbage collector knows: milliseconds; in a big program, a tenth of a second.
    """
    owners = [coroutine for task in tasks for coroutine in chain(task)]
    ends = [*known, *owners]
    between: list[object] = []
    settled = set(map(id, (*ends, ends, owners, between)))
    found: list[object] | None = things
    while found:
        settled.update(map(id, (*found, found)))
        between += found  # alive: nothing else may get the id of one
        if len(between) > MOST_BETWEEN or any(_is_open_to_others(one, settled) for one in found):
            return False
        found = _referrers(found, settled)
    return found is not None and _is_reached(things, owners, [*between, *known])


def _is_reached(things: list[object], owners: list[object], by_way_of: list[object]) -> bool:
    """Whether *owners* lead to each of *things*."""
    away = {id(one): one for one in by_way_of}
    ahead = owners
    while ahead:
        ahead = [away.pop(id(one)) for one in gc.get_referents(*ahead) if id(one) in away]
    return not any(id(thing) in away for thing in things)


def _is_open_to_others(one: object, settled: set[int]) -> bool:
    if isinstance(one, AsyncGenerator):  # the event loop has a weak reference to each, to close it at the end
        return False
    if isinstance(one, asyncio.Task):  # the event loop runs it
        return True
    return any(type(weak) is not InnerRef and id(weak) not in settled for weak in weakref.getweakrefs(one))


def _referrers(objects: list[object], settled: set[int]) -> list[object] | None:
    """What refers to *objects* and is not in *settled*, where the ids are; None if something cannot be seen."""
    counted = _reference_counts(objects)
    referrers = gc.get_referrers(*objects)
    # The tuple of the call's arguments is one, from Python 3.13 on. It is over: nothing but this list refers to it.
    referrers = [one for one, count in zip(referrers, _reference_counts(referrers), strict=True) if count > 1]
    found = Counter(map(id, itertools.chain.from_iterable(map(gc.get_referents, referrers))))
    if counted != [found[id(one)] for one in objects]:
        return None
    return [one for one in referrers if id(one) not in settled]


def _reference_counts(objects: list[object]) -> list[int]:
    """How many references there are to each, the list's included and this call's not."""
    return [count - 1 for count in map(sys.getrefcount, objects)]
