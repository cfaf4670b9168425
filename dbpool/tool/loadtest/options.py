"""Options that several commands of ``dbpool loadtest`` have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from dbpool.core.arrivals import Arrival
from dbpool.core.loadtest.curve import ENOUGH
from dbpool.core.loadtest.sizes import sizes_of
from dbpool.core.loadtest.thresholds import share_of, threshold_of
from dbpool.core.stages import stages_of
from dbpool.loadtest.load import MAX_IN_FLIGHT, DriverName
from dbpool.loadtest.scripts.client import parse_definition
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.watch import LONGEST_S, SHORTEST_S
from dbpool.tool.arguments import Address
from dbpool.tool.loadtest.values import Parsed, Range, web_address_of
from dbpool.tool.loadtest.workload import builtin_part, file_part

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Any], Any]
DRIVERS: Final = click.Choice([name.value for name in DriverName])

url = click.argument("url", required=False, type=Address(), envvar="DATABASE_URL", metavar="[URL]")
wanted_url = click.argument("url", type=Address(), envvar="DATABASE_URL", metavar="URL")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
force = click.option("--force", is_flag=True, help="Go on where safety says no: others may find no connection.")
most = click.option(
    "--max-connections",
    metavar="N",
    type=click.IntRange(1),
    help="Take so many connections at the most.  [default: 90 % of the usable ones, less what others hold]",
)
scale = click.option(
    "-s", "--scale", metavar="N", type=click.IntRange(1, 10_000), default=1, help="100,000 accounts each: about 15 MB."
)
driver = click.option("--driver", type=DRIVERS, default=DriverName.DBPOOL.value, help="By what the load goes.")
library = click.option(
    "--driver",
    # pgbench has no pool that a caller could wait for, and no rate that changes
    type=click.Choice([name.value for name in DriverName if name is not DriverName.PGBENCH]),
    default=DriverName.DBPOOL.value,
    help="By what the load goes.",
)
drivers = click.option(
    "--driver",
    "drivers",
    multiple=True,
    type=DRIVERS,
    default=[DriverName.DBPOOL.value],
    help="By what the load goes; several are measured one after the other. noop measures the generator itself.",
)
clients = click.option(
    "-c",
    "--clients",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=10,
    help="Clients, each with one transaction after the other.",
)
repeat = click.option(
    "--repeat", metavar="K", type=click.IntRange(1, 100), default=1, help="Measure each point so often."
)
order = click.option(
    "--order", type=click.Choice(["random", "asc"]), default="asc", help="Of the points in each of those rounds."
)
ARRIVALS: Final[tuple[Option, ...]] = (
    click.option("-R", "--rate", metavar="N|A:B", help="Arrivals a second instead of clients; A:B is a ramp."),
    click.option(
        "--stages",
        metavar="T:N,...",
        type=Parsed("stages", stages_of),
        help="Arrivals a second by stages, like 30s:100,1m:500 (to 100 in 30 s, then to 500 in a minute).",
    ),
    click.option("--closed", is_flag=True, help="--stages are clients, each with one transaction after the other."),
    click.option(
        "--arrival",
        type=click.Choice([each.value for each in Arrival]),
        default="poisson",
        help="How arrivals follow each other.",
    ),
    click.option(
        "--max-inflight",
        metavar="N",
        type=click.IntRange(1, 1_000_000),
        default=MAX_IN_FLIGHT,
        help="Arrivals beyond so many under way are dropped.",
    ),
)


latency_limit = click.option(
    "-L",
    "--latency-limit",
    metavar="MS",
    type=Range(min=0, min_open=True),
    help="Slower is late; an arrival that is later already is skipped. Of a sweep: of service p99.",
)


def times(time_s: float | None, warmup_s: float | None) -> tuple[Option, ...]:
    """How long each point takes; None: the preset says."""

    def default(seconds: float | None) -> dict[str, Any]:
        return {"default": seconds, "show_default": seconds is not None}

    return (
        click.option(
            "-T",
            "--time",
            "time_s",
            metavar="S",
            type=Range(0.1, 86_400),
            help="Seconds that count.",
            **default(time_s),
        ),
        click.option(
            "--warmup",
            "warmup_s",
            metavar="S",
            type=Range(0, 3600),
            help="Seconds before them that do not.",
            **default(warmup_s),
        ),
        latency_limit,
        click.option(
            "--timeout",
            metavar="MS",
            type=Range(1, 3_600_000),
            default=30_000.0,
            help="For each transaction; one that ends so counts as that slow.",
        ),
    )


pool_size = click.option(
    "--pool-size",
    metavar="N",
    type=click.IntRange(1, 100_000),
    help="Connections of the pool, of all workers together.  [default: as many as clients, 10 with -R]",
)
gate = click.option(
    "--gate",
    metavar="N",
    type=click.IntRange(1),
    help="Transactions that the pool lets in at the same time (driver dbpool).  [default: --pool-size]",
)


SIZES: Final[tuple[Option, ...]] = (
    click.option(
        "--pool-size",
        metavar="1..N|A,B,..",
        type=Parsed("sizes", sizes_of),
        help="Search sizes up to N, or measure those listed.  [default: 1..64, as far as may be taken]",
    ),
    click.option(
        "--repeat", metavar="K", type=click.IntRange(1, 100), help="Measure the knee, or each listed size, so often."
    ),
    click.option("--order", type=click.Choice(["random", "asc"]), default="random", help="Of listed sizes."),
)
PRESETS: Final[tuple[Option, ...]] = (
    click.option("--quick", "preset", flag_value="quick", help="About two minutes for a whole run."),
    click.option("--thorough", "preset", flag_value="thorough", help="Longer points, and three repeats of the knee."),
    click.option("--preset", "preset", default="default", hidden=True),
)


def assumptions(*, are_given: bool = False) -> tuple[Option, ...]:
    """What an analysis is told; *are_given*: by a saved run, so that there are no defaults."""

    def option(name: str, metavar: str, kind: click.ParamType[Any], default: float, text: str) -> Option:
        extra: dict[str, Any] = {} if are_given else {"default": default, "show_default": True}
        return click.option(name, metavar=metavar, type=kind, help=text, **extra)

    return (
        option("--enough", "SHARE", Range(0.5, 1), ENOUGH, "Of the peak's throughput, at the knee."),
        option(
            "--latency-factor",
            "X",
            Range(1, 1000),
            3.0,
            "Times the service p99 of one connection, where -L sets no limit.",
        ),
        option("--instances", "K", click.IntRange(1, 100_000), 1, "Processes that have a pool each."),
        option(
            "--surge",
            "X",
            Range(1, 1000),
            1.0,
            "So many times as many run while a new version replaces the old: 2 if all of them do.",
        ),
        option("--reserve", "N", click.IntRange(0), 0, "Connections to leave to whatever else."),
        option("--tasks", "N", click.IntRange(1, 100_000), 1, "Tasks of one process at once ..."),
        option(
            "--connections-each",
            "N",
            click.IntRange(1, 1000),
            1,
            "... that hold so many connections together: the pool must be large enough for one to go on.",
        ),
    )


strict = click.option("--strict", is_flag=True, help="A result that is not to be trusted is exit code 5.")


def workload(script: str, *, workers: int | None = 1) -> tuple[Option, ...]:
    """What each transaction is; *script* is the builtin one that is the default."""
    return (
        click.option(
            "-b",
            "--builtin",
            "builtins",
            metavar="NAME[@W]",
            multiple=True,
            type=Parsed("script", builtin_part),
            help="tpcb-like, simple-update, select-only or range-sum, on the tables that init makes; W is a weight.  "
            f"[default: {script}]",
        ),
        click.option(
            "-f",
            "--file",
            "files",
            metavar="FILE[@W]",
            multiple=True,
            type=Parsed("script", file_part),
            help="A pgbench script, or module:function, as 'async def function(connection, client)'.",
        ),
        click.option(
            "-D",
            "--define",
            "defined",
            metavar="NAME=VALUE",
            multiple=True,
            type=Parsed("definition", parse_definition),
            help="A variable of scripts.",
        ),
        click.option(
            "-M",
            "--protocol",
            type=click.Choice([mode.value for mode in QueryMode]),
            default="prepared",
            help="How statements are sent.",
        ),
        scale,
        click.option(
            "--max-tries",
            metavar="N",
            type=click.IntRange(0),
            default=1,
            help="Tries of a transaction that ends with a serialization failure or a deadlock; 0: until its time-out.",
        ),
        click.option(
            "-j",
            "--workers",
            metavar="N",
            type=click.IntRange(1, 256),
            default=workers,
            help="Load processes. The pool is split among them."
            if workers
            else "Most load processes: more than one only where one is what limits.  [default: half of the processors]",
        ),
        click.option(
            "--random-seed",
            "seed",
            metavar="N",
            type=click.IntRange(0, 2**64 - 1),
            default=1,
            help="The same seed draws the same numbers.",
        ),
    )


JUDGING: Final[tuple[Option, ...]] = (
    click.option(
        "--threshold",
        "thresholds",
        metavar="EXPR",
        multiple=True,
        type=Parsed("threshold", threshold_of),
        help="Must be met, like 'response_ms:p(99)<50', 'tps>=1000' or 'error_rate<1%'.",
    ),
    click.option("--threshold-abort", is_flag=True, help="Stop where a threshold is missed in two seconds in a row."),
    click.option(
        "--baseline",
        metavar="RUN.json",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="An earlier run to compare with: a regression is exit code 4.",
    ),
    click.option(
        "--max-regression",
        metavar="SHARE",
        type=Parsed("share", share_of),
        default=0.05,
        show_default="5%",
        help="How much worse than the baseline may be.",
    ),
)
WATCHING: Final[tuple[Option, ...]] = (
    click.option(
        "--sample-interval",
        "interval_s",
        metavar="S",
        type=Range(SHORTEST_S, LONGEST_S),
        default=1.0,
        help="Seconds from one look at the server to the next.",
    ),
    click.option(
        "--pgbouncer-admin",
        metavar="URL",
        type=Address(),
        help="PgBouncer's console, as postgresql://user@host:6432/pgbouncer: its pools and limits are recorded.",
    ),
    click.option(
        "--server-cmd",
        metavar="CMD",
        help='A command that prints {"cpu": 3.2}, the processors that a server elsewhere uses now.',
    ),
)
LIMITS: Final[tuple[Option, ...]] = (most, force)
OUTPUTS: Final[tuple[Option, ...]] = (
    click.option(
        "-P",
        "--progress",
        metavar="S",
        type=click.IntRange(0),
        default=1,
        help="Seconds between two lines of progress on stderr; 0 for none.",
    ),
    click.option(
        "-o",
        "--out",
        "folder",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write run.json, report.html, report.md and timeline.ndjson into this folder.",
    ),
    click.option(
        "--html",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the report as one HTML file.",
    ),
    click.option(
        "--timeseries",
        metavar="FILE|-",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        help="Write what happens as it happens, a JSON object a line; - is stdout.",
    ),
    click.option(
        "--web",
        metavar="[HOST:]PORT",
        is_flag=False,
        flag_value="127.0.0.1:0",
        type=Parsed("address", web_address_of),
        help="Show the report in a browser while the run goes on, on loopback; without PORT on a free one.",
    ),
    as_json,
)


def options(*groups: Option | tuple[Option, ...]) -> Callable[[Command], Command]:
    """All of them, in the order that a command's help has them."""
    flat = [each for group in groups for each in (group if isinstance(group, tuple) else (group,))]

    def decorate(command: Command) -> Command:
        for each in reversed(flat):
            command = each(command)
        return command

    return decorate
