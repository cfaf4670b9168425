"""The sweep: the pool's size is varied until it is known where throughput stops growing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from dbpool.core.loadtest.curve import Curve, Observation
from dbpool.core.loadtest.refusals import LIMITS
from dbpool.core.loadtest.search import Effort, Outcome, Search, Status
from dbpool.core.loadtest.verdict import outcome_of
from dbpool.loadtest.analysis import noise_of, observation_of, verdict
from dbpool.loadtest.assumptions import Assumptions
from dbpool.loadtest.stages.stand import Stand
from dbpool.loadtest.workers.fleet import WorkerFailed

_LIMITS: Final = {refusal.value: words for refusal, words in LIMITS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How to vary the size.

    Args:
        effort: of the search, its cap included.
        is_servers: that cap is all that the server has room for.
        sizes: to measure, instead of searching; each *effort.repeats* times.
        is_shuffled: those are measured in random order, else ascending.
        most_workers: load processes; it begins with the stand's, and doubles them while they are what limits.
    """

    effort: Effort
    is_servers: bool = False
    sizes: Sequence[int] = ()
    is_shuffled: bool = True
    most_workers: int = 1


async def sweep(stand: Stand, plan: Sweep, assumptions: Assumptions) -> Outcome:
    """Measure; put the verdict into the document. After ``stop``, from what there was until then.

    Raises: WorkerFailed: a worker cannot do its share for another reason than a limit of connections.
    """
    effort = replace(
        plan.effort,
        noise=noise_of(stand.run.calibration),
        enough=assumptions.enough,
        latency_limit_ms=assumptions.latency_limit_ms,
        latency_factor=assumptions.latency_factor,
    )
    random = Random(stand.workload.seed)
    stand.begin("sweep", f"the pool's size is varied, up to {effort.cap}", points=None)
    while True:
        if plan.sizes:
            outcome, curve = await _measure_sizes(stand, plan, effort, random)
        else:
            outcome, curve = await _search(stand, replace(effort, smallest=stand.workers), random)
            if plan.is_servers and outcome.status is Status.LOWER_BOUND:
                outcome = replace(outcome, is_refused=True)
        more = min(2 * stand.workers, plan.most_workers)
        is_bound = outcome.status is Status.GENERATOR_BOUND
        if not is_bound or stand.is_stopped or more == stand.workers:
            break
        stand.note("note", "sweep", f"the generator was at its limit: once more with {more} load processes")
        await stand.use_workers(more)
    stand.run.sections |= verdict(stand.run.as_json(), outcome, curve, assumptions)
    sections = stand.run.sections
    stand.events.tell("verdict", knee=sections["knee"], recommendation=sections["recommendation"])
    return outcome


async def _search(stand: Stand, effort: Effort, random: Random) -> tuple[Outcome, Curve]:
    search = Search(effort, random)
    while search.probe is not None:
        observation = await _observe(stand, search.probe.size, search.probe.why.name.lower())
        if observation is None:
            break
        search.observe(observation)
    return search.outcome, search.curve


async def _measure_sizes(stand: Stand, plan: Sweep, effort: Effort, random: Random) -> tuple[Outcome, Curve]:
    curve, is_bound, is_refused = Curve(noise=effort.noise, enough=effort.enough), False, False
    for _ in range(effort.repeats):
        sizes = random.sample(plan.sizes, len(plan.sizes)) if plan.is_shuffled else plan.sizes
        for size in sizes:
            observation = await _observe(stand, size, None)
            if observation is None:
                break
            if observation.is_refused:
                is_refused = True
            elif observation.is_generator_bound:
                is_bound = True
            else:
                curve.add(observation)
    outcome = outcome_of(
        curve,
        latency_limit_ms=effort.latency_limit_ms,
        latency_factor=effort.latency_factor,
        is_generator_bound=is_bound,
        is_refused=is_refused,
    )
    return outcome, curve


async def _observe(stand: Stand, size: int, why: str | None) -> Observation | None:
    """Measure *size*; None: it was stopped before its end."""
    if stand.is_stopped:
        return None
    repeat = sum(entry["stage"] == "sweep" and entry["pool_size"] == size for entry in stand.run.points)
    load = replace(stand.load, clients=size, stages=())
    try:
        done = await stand.measure("sweep", stand.target(size), load, why=why, repeat=repeat)
    except WorkerFailed as failed:
        if stand.is_stopped:
            return None
        if (limit := _LIMITS.get(failed.label.rpartition(".")[2])) is None:
            raise
        stand.note("refused", "sweep", f"{size} connections: {limit}")
        return Observation(size, 0.0, is_refused=True)
    return observation_of(done.json) if done.point.is_complete else None
