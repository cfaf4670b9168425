"""The commands of ``dbpool loadtest`` that read saved runs: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dbpool.core.loadtest.thresholds import share_of
from dbpool.tool.loadtest import options as of
from dbpool.tool.loadtest.values import Parsed
from dbpool.tool.needs import sentence_about_missing

if TYPE_CHECKING:
    from dbpool.tool.running import Stop

FORMS = ("html", "md", "text", "csv")
SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".csv": "csv"}
_RUN = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Compare saved runs: better, worse, or not shown.")
@click.argument("baseline", type=_RUN, metavar="A.json")
@click.argument("others", type=_RUN, nargs=-1, required=True, metavar="B.json...")
@click.option(
    "--max-regression",
    metavar="SHARE",
    type=Parsed("share", share_of),
    default=0.05,
    show_default="5%",
    help="How much worse than A.json may be.",
)
@click.option("--allow-mismatch", is_flag=True, help="Compare runs that differ in workload, scale, server or sharding.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, as for a comment on a pull request.")
@of.as_json
def compare(*, baseline: Path, others: tuple[Path, ...], **options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Compare saved runs with the first one: what is better, worse, or not shown to differ.

    Loads that both runs have are compared by the means of their repeats (Welch's test); verdicts hold for all of them
    together. Measure each load three times in each run: of single runs throughput alone can be judged, and roughly.

    \b
    Example:  dbpool loadtest compare main.json branch.json --max-regression 5%
    Exit codes: 0 done, 2 usage, or the runs do not compare, 4 a figure is shown to be worse by more than is allowed.
    """
    from dbpool.tool.loadtest.comparing import ComparePlan, run

    if options["as_json"] and options["as_markdown"]:
        raise click.UsageError("--json and --markdown are two forms of the same: give one of them")
    plan = ComparePlan(files=(baseline, *others), **options)
    _run("compare", lambda stop: run(plan, stop))


@click.command(short_help="Show a saved run as a page, Markdown, text or CSV.")
@click.argument("run_file", type=_RUN, metavar="RUN.json")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Its form.  [default: by the name of -o, or text]",
)
@click.option(
    "-o",
    "--out",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there, not to stdout.",
)
def report(*, run_file: Path, form: str | None, file: Path | None) -> NoReturn:
    """Show a saved run: as a page, as Markdown for a pull request, as text, or its points as CSV.

    \b
    Example:  dbpool loadtest report run.json -o report.html
              dbpool loadtest report run.json --format md | gh pr comment --body-file -
    Exit codes: 0 done, 1 it cannot be written, 2 usage, or the file is no whole run.
    """
    from dbpool.tool.loadtest.showing import ReportPlan, run

    by_name = SUFFIXES.get(file.suffix.lower(), "text") if file else "text"
    plan = ReportPlan(run=run_file, form=form or by_name, file=file)
    _run("report", lambda stop: run(plan, stop))


@click.command(short_help="Judge a saved run again, under other assumptions.")
@of.options(
    click.argument("file", type=_RUN, metavar="RUN.json"), of.latency_limit, of.assumptions(are_given=True), of.as_json
)
def analyze(*, file: Path, as_json: bool, **options: Any) -> NoReturn:  # noqa: ANN401 - as above
    """Judge a saved run once more, without a load: as it was, or under other assumptions.

    \b
    Example:  dbpool loadtest analyze run.json --instances 4 --surge 2 --reserve 10
    Exit codes: 0 done, 2 usage, or the file is no run that varied the pool's size.
    """
    from dbpool.tool.loadtest.analyze import AnalyzePlan, run

    options["latency_limit_ms"] = options.pop("latency_limit")
    changes = {name: value for name, value in options.items() if value is not None}
    plan = AnalyzePlan(file=file, changes=changes, as_json=as_json)
    _run("analyze", lambda stop: run(plan, stop))


def _run(command: str, work: Callable[[Stop], Awaitable[int]]) -> NoReturn:
    if sentence := sentence_about_missing("rich"):
        raise click.ClickException(sentence)
    from dbpool.tool.running import run

    run(f"loadtest {command}", work)


COMMANDS = (analyze, report, compare)
