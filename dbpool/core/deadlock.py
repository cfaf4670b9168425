"""Whether those in line can ever be served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")  # a task
W = TypeVar("W")  # a waiter: a task's place in a line
H = TypeVar("H")  # a holder of a permit
L = TypeVar("L")  # a lane
N = TypeVar("N")


class Situation(Protocol[T, W, H, L]):
    """Who waits, and who holds, at one moment. All are hashable."""

    def waiter_of(self, task: T) -> W | None:
        """As whom *task* waits in line; None: it does not, or has been granted, refused or cancelled and is to run."""

    def lane_of(self, waiter: W) -> L: ...

    def arrival_of(self, waiter: W) -> float:
        """The greater, the later it came."""

    def in_the_way_of(self, lane: L) -> Iterable[H]:
        """Those of whom one must leave before anybody in *lane* can get a permit; none if nobody has to."""

    def task_of(self, holder: H) -> T | None:
        """The task that must run for *holder* to leave; None if it can leave without, or who knows."""

    def awaited_by(self, task: T) -> Iterable[T]:
        """The tasks of which one must end before *task*, who is in no line, runs; none if it can without."""


@dataclass(frozen=True, slots=True)
class Knot(Generic[W, H]):
    """Waiters and holders none of whom can move unless another one of them does.

    Attributes:
        victim: the waiter who came last, to be refused: its task then runs, and the holders of *own* may leave.
        own: those whose task is the victim's, or awaits it, through any number of others; at least one.
        waiters: all of them, the victim too, in order of arrival.
        holders: all of them.
    """

    victim: W
    own: tuple[H, ...]
    waiters: tuple[W, ...]
    holders: tuple[H, ...]


@dataclass(frozen=True, slots=True)
class _Line(Generic[L]):
    """A lane among tasks, for one of which it cannot be mistaken."""

    lane: L


def find_deadlock(lane: L, situation: Situation[T, W, H, L]) -> Knot[W, H] | None:
    """Find who must be refused for those waiting in *lane* ever to be served; None if they may be as it is.

    Whoever waits for a permit needs a holder's task to run, and a task that awaits others needs one of them to end. Any
    of them may be the one, so all must be stuck for somebody to be stuck for certain: every way along these needs leads
    only to others who need, never to one who can move. The knot is where these ways end: nobody in it needs anybody
    outside. Who merely waits behind it is not part of it.

    Looks at the holders in the way until one can move; in a busy pool that is the first.
    """
    needs = _needs_of_all(lane, situation)
    if needs is None:
        return None
    task_of: dict[W, T] = {}
    holders: dict[H, None] = {}
    for node in _innermost(_Line(lane), needs):
        if isinstance(node, _Line):
            holders.update(dict.fromkeys(situation.in_the_way_of(node.lane)))
        elif (waiter := situation.waiter_of(node)) is not None:
            task_of[waiter] = node
    if not task_of:  # tasks that await each other in a ring, which no refusal would end
        return None
    waiters = tuple(sorted(task_of, key=situation.arrival_of))
    victim = waiters[-1]
    by_task: dict[T | _Line[L], list[T | _Line[L]]] = {
        node: needed for node, needed in needs.items() if not isinstance(node, _Line)
    }
    freed = _needing(task_of[victim], by_task)
    own = tuple(holder for holder in holders if situation.task_of(holder) in freed)
    return Knot(victim, own, waiters, tuple(holders))


def _needs_of_all(lane: L, situation: Situation[T, W, H, L]) -> dict[T | _Line[L], list[T | _Line[L]]] | None:
    """What those waiting in *lane* need, what these need, and so on; None if one of them can move.

    The nearest first: there are few holders, but further away may be all who stand in line.
    """
    needs: dict[T | _Line[L], list[T | _Line[L]]] = {}
    ahead: deque[T | _Line[L]] = deque([_Line(lane)])

    def is_in_need(task: T) -> bool:
        if task not in needs:
            waiter = situation.waiter_of(task)
            needs[task] = list(situation.awaited_by(task)) if waiter is None else [_Line(situation.lane_of(waiter))]
            ahead.extend(needs[task])
        return bool(needs[task])

    while ahead:
        node = ahead.popleft()
        if not isinstance(node, _Line):
            if not is_in_need(node):
                return None
        elif node not in needs:
            needs[node] = []
            for holder in situation.in_the_way_of(node.lane):
                task = situation.task_of(holder)
                if task is None or not is_in_need(task):
                    return None
                needs[node].append(task)
            if not needs[node]:
                return None
    return needs


def _innermost(start: N, needs: Mapping[N, Iterable[N]]) -> set[N]:
    """Nodes to which *start* leads, each of which leads to each other, and to nobody else."""
    while True:
        led_to = _closure(needs[start], needs)
        no_way_back = led_to - _needing(start, {node: needs[node] for node in led_to})
        if not no_way_back:
            return led_to
        start = no_way_back.pop()  # it leads to fewer


def _needing(node: N, needs: Mapping[N, Iterable[N]]) -> set[N]:
    """*node*, those who need it, those who need these, and so on."""
    needed_by: dict[N, list[N]] = {}
    for one, needed in needs.items():
        for other in needed:
            needed_by.setdefault(other, []).append(one)
    return _closure([node], needed_by)


def _closure(nodes: Iterable[N], steps: Mapping[N, Iterable[N]]) -> set[N]:
    """*nodes*, and all to which *steps* lead from them."""
    found = set(nodes)
    ahead = list(found)
    while ahead:
        new = set(steps.get(ahead.pop(), ())) - found
        found |= new
        ahead += new
    return found
