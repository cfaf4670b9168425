"""Seeded schedules of callers, cancellations and faults on a virtual clock, looked at after every single step."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.sim.longline import check_long_line
from tests.rigs.sim.machine import PoolMachine
from tests.rigs.sim.schedule import Played, Schedule

MOST_VIOLATIONS: Final = 20  # what is broken breaks again and again
TELL_EVERY_S: Final = 2.0
STOPPED: Final = "runs ended early"
MACHINES_PART: Final = 0.05  # of the time: hypothesis takes a hundred times as long as a schedule
LONGEST_TEXT: Final = 1500
LONGEST_PLAY_S: Final = 20.0  # of the processor: a schedule takes some milliseconds
AT_A_TIME: Final = hypothesis.settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Go on for about *seconds*, the same way for the same *seed* as far as time allows.

    First comes the state machine, for ``MACHINES_PART`` of the time, then schedules.
    """
    ends_at = time.monotonic() + seconds
    of_machine = machines(seconds * MACHINES_PART, seed)
    found = explore(seed, say, seconds=max(0.0, ends_at - time.monotonic()))
    found.merge([of_machine])
    return found


def machines(seconds: float, seed: int) -> Findings:
    """State machines by hypothesis, some at a time, with other seeds; of what breaks something the fewest steps."""
    found, ends_at = Findings("sim"), time.monotonic() + seconds
    with _quiet():
        while not found.done or (time.monotonic() < ends_at and not found.violations):
            seeded = hypothesis.seed(seed + found.done["state machines"])(type("Seeded", (PoolMachine,), {}))
            found.done["state machines"] += AT_A_TIME.max_examples
            try:
                run_state_machine_as_test(seeded, settings=AT_A_TIME)
            except Exception as error:
                violation = violation_of(seed, error)
                steps = " ".join(getattr(error, "__notes__", ()))
                again = f"python -m tests.rigs sim --seconds {seconds / MACHINES_PART:g} --seed {seed}"
                found.violations.append(Violation(violation.goal, f"{violation.text}; {steps}"[:LONGEST_TEXT], again))
    found.took_s = seconds
    return found


def explore(
    first: int,
    say: Say,
    *,
    seconds: float = float("inf"),
    schedules: int | None = None,
    most_violations: int = MOST_VIOLATIONS,
) -> Findings:
    """Play the schedules of *first*, *first* + 1, ... until the time is over or as many as wanted were played.

    Ctrl-C ends it; what was found so far is returned.
    """
    played, violations = Played(), list[Violation]()
    started = told = time.monotonic()
    seed = first
    done = Counter[str]()
    with _quiet(), _ended_if_it_spins() as spun, _stopped_early(done):
        if (violation := _long_line(first, played)) is not None:
            violations.append(violation)
        while len(violations) < most_violations and (schedules is None or seed - first < schedules):
            if (now := time.monotonic()) - started >= seconds:
                break
            signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_PLAY_S)
            violation = _play(seed, played)
            if spun:
                violation = violation_of(seed, spun.pop())
            seed += 1
            if violation is not None:
                violations.append(violation)
            if now - told >= TELL_EVERY_S:
                told = now
                say(f"{played.schedules:,} schedules, {played.cancellations:,} cancellations")
    took_s = time.monotonic() - started
    done |= Counter(schedules=played.schedules, cancellations=played.cancellations, steps=played.steps)
    done |= Counter(callers=played.callers, grants=played.grants)
    figures = {"schedules_per_s": round(played.schedules / max(took_s, 1e-9), 1)}
    return Findings("sim", done, played.faults, violations, figures, took_s)


@contextmanager
def _stopped_early(done: Counter[str]) -> Iterator[None]:
    """What was found until Ctrl-C is kept."""
    try:
        yield
    except KeyboardInterrupt:
        done[STOPPED] += 1


@contextmanager
def _ended_if_it_spins() -> Iterator[list[AssertionError]]:
    """What goes on without ever waiting stops the clock, too: it is ended by the processor's, and noted in the list."""
    spun: list[AssertionError] = []

    def spins(*_: object) -> None:
        spun.append(AssertionError(f"M6: something went on for {LONGEST_PLAY_S:g} s of a processor without waiting"))
        raise spun[0]  # in whatever task it is, which may be nobody's to await

    before = signal.signal(signal.SIGVTALRM, spins)
    try:
        yield spun
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _long_line(seed: int, played: Played) -> Violation | None:
    played.faults[76] += 1
    try:
        check_long_line(seed)
    except AssertionError as error:
        return violation_of(seed, error)
    return None


def _play(seed: int, played: Played) -> Violation | None:
    schedule = Schedule(seed)
    try:
        played.add(schedule.play())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        played.add(schedule.so_far())
        return violation_of(seed, error)
    return None


def violation_of(seed: int, error: BaseException) -> Violation:
    """What *error* out of the schedule of *seed* means."""
    goal, _, text = str(error).partition(": ")
    if not (isinstance(error, AssertionError) and goal.startswith("M") and goal[1:].isdigit()):
        goal, text = "M1", f"{type(error).__name__}: {error}"
    return Violation(goal, text.splitlines()[0] if text else repr(error), replay(seed))


def replay(seed: int) -> str:
    """The command that plays the schedule of *seed* alone, and shows its steps."""
    return f"python -m tests.rigs sim --seed {seed} --schedules 1"


@contextmanager
def _quiet() -> Iterator[None]:
    """No log, and a garbage collection now and then only: of what a schedule leaves, little lives on."""
    log, before = logging.getLogger("dbpool"), gc.get_threshold()
    was_disabled, log.disabled = log.disabled, True
    was_frozen = gc.get_freeze_count() > 0
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not was_frozen:
            gc.unfreeze()
        log.disabled = was_disabled
