"""The commands of ``dbpool loadtest`` that do one stage of a run alone."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import click

from dbpool.loadtest.load import POOLS, DriverName
from dbpool.tool.loadtest import options as of
from dbpool.tool.loadtest.stages import SCRIPT
from dbpool.tool.loadtest.values import Range
from dbpool.tool.needs import sentence_about_missing

_COMMON: Final = (of.workload(SCRIPT), of.JUDGING, of.LIMITS, of.WATCHING, of.OUTPUTS)
_pool_size = click.option(
    "--pool-size", metavar="N", type=click.IntRange(1, 10_000), default=10, help="Connections of the pool, or of each."
)
_pooled = click.option(
    "--driver",
    type=click.Choice([name.value for name in POOLS]),
    default=DriverName.DBPOOL.value,
    help="Whose pool it is.",
)
_peak_tps = click.option(
    "--peak-tps",
    metavar="X",
    type=Range(min=0, min_open=True),
    help="Transactions a second that this pool does at its most.  [default: measured first]",
)
_connections = click.option(
    "--connections",
    metavar="N",
    type=click.IntRange(2, 500),
    help="Who connect at the same moment.  [default: 100, if there is room]",
)
_minutes = click.option("--minutes", metavar="MIN", type=Range(0.01, 10_080), default=10.0, help="How long.")
_instances = click.option(
    "--instances", metavar="K", type=click.IntRange(1, 256), default=2, help="Processes that have a pool each."
)
_surge = click.option(
    "--surge",
    metavar="X",
    type=Range(1, 100),
    default=2.0,
    help="So many times as many run while a new version replaces the old.",
)


@click.command()
@of.options(of.url, _pool_size, _peak_tps, of.library, of.times(8.0, 2.0), *_COMMON)
def overload(**options: Any) -> NoReturn:  # noqa: ANN401 - as the options above have it
    """Offer more and more transactions a second, up to 150 % of the peak, then see how it gets back to normal.

    They are due like those of independent users, at 50 to 150 % of what the pool does at its most. Later than -L is
    late, and what has waited too long for that is skipped.

    \b
    Example:  dbpool loadtest overload postgresql://app@localhost/shop -f checkout.sql --pool-size 16 -L 100
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline,
      6 refused for safety, 130 stopped (what was measured is printed).
    """
    _run("overload", options)


@click.command()
@of.options(of.url, _pool_size, _connections, _pooled, of.times(8.0, 2.0), *_COMMON)
def storm(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Connect all at once, start a pool empty, kill its sessions, ask for more than the limit: who suffers?

    Meanwhile a bystander goes on with ten transactions a second on a connection of its own. What would take
    connections that others may need is left out unless you --force it.

    \b
    Example:  dbpool loadtest storm postgresql://app@localhost/shop --pool-size 16 --connections 200
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline,
      6 refused for safety, 130 stopped (what was measured is printed).
    """
    _run("storm", options)


@click.command()
@of.options(of.url, _pool_size, _peak_tps, _minutes, of.library, of.times(8.0, 2.0), *_COMMON)
def soak(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Load at 70 % of the peak for long, and say what creeps: throughput, latency, memory, connections.

    A trend is told where it is surely none by chance. -T is of the point that measures the peak.

    \b
    Example:  dbpool loadtest soak postgresql://app@localhost/shop -f checkout.sql --pool-size 16 --minutes 60
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline,
      6 refused for safety, 130 stopped (what was measured is printed).
    """
    _run("soak", options)


@click.command()
@of.options(of.url, _pool_size, _instances, _surge, _pooled, of.times(8.0, 2.0), *_COMMON)
def fleet(**options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Load from several processes with a pool each, then from more, as while a new version replaces the old.

    A process that is refused connections counts that and goes on with what it has.

    \b
    Example:  dbpool loadtest fleet postgresql://app@localhost/shop --instances 4 --pool-size 16 --surge 2
    Exit codes: 0 done, 1 it failed, 2 usage, 3 a threshold was missed, 4 worse than the baseline,
      6 refused for safety, 130 stopped (what was measured is printed).
    """
    _run("fleet", options)


def _run(command: str, options: dict[str, Any]) -> NoReturn:
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.loadtest.stages import run, stage_of
    from dbpool.tool.running import run as conduct

    plan = stage_of(command, options)
    conduct(f"loadtest {command}", lambda stop: run(plan, stop))


COMMANDS = (overload, storm, soak, fleet)
