"""How long it takes to write a load test's report: a page, JSON, Markdown and what a terminal shows."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench import process
from bench.loadtestruns import Document
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge

WRITTEN: Final = Target(at_most=1.0, unit=" s")


def measure_once(document: Document) -> dict[str, Any]:
    """Seconds of each form, in a process that has written none before; ``points`` and ``transactions`` of it."""
    progress("writing the report of a load test")
    with TemporaryDirectory(prefix="dbpool-bench-") as folder:
        (Path(folder) / "run.json").write_text(json.dumps(document), encoding="utf-8")
        written = process.measure("reportwriting", {"folder": folder})
    transactions = sum(point["counts"]["ok"] for point in document["points"])
    return {**written, "points": len(document["points"]), "transactions": transactions}


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Seconds and kB of each form; ``checked``: seconds to read the document and check its form.

    Args:
        request: ``folder``, which has a run.json.
    """
    from rich.console import Console

    from dbpool.loadtest.report import html, markdown
    from dbpool.loadtest.report.text import print_report
    from dbpool.loadtest.saved import read_run

    folder = Path(request["folder"])
    started = time.perf_counter()
    document = read_run(folder / "run.json")
    checked_s = time.perf_counter() - started

    def text() -> str:
        console = Console(file=io.StringIO(), width=100)
        print_report(document, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    forms: dict[str, Callable[[], str]] = {
        "html": lambda: html.page(document),
        "json": lambda: json.dumps(document),
        "md": lambda: markdown.text(document),
        "text": text,
    }
    seconds, kilobytes = {}, {}
    for form, write in forms.items():
        started = time.perf_counter()
        kilobytes[form] = (folder / f"report.{form}").write_text(write(), encoding="utf-8") / 1000
        seconds[form] = time.perf_counter() - started
    return {"seconds": seconds, "kilobytes": kilobytes, "checked_s": checked_s}


def tables(written: Mapping[str, Any]) -> Iterator[Table]:
    seconds, kilobytes = written["seconds"], written["kilobytes"]
    rows = [(form, f"{seconds[form] * 1000:.0f} ms", f"{kilobytes[form]:.0f} kB") for form in seconds]
    rows.append(("all of them", f"{sum(seconds.values()) * 1000:.0f} ms", ""))
    rows.append(("a saved run read, its form checked", f"{written['checked_s'] * 1000:.0f} ms", ""))
    title = f"Load test: the report of {written['transactions']:,} transactions in {written['points']} points"
    yield Table(title, ("written", "time", "size"), rows)


def judged(written: Mapping[str, Any]) -> Iterator[Judged]:
    what = f"load test: the whole report of {written['transactions']:,} transactions"
    yield judge(what, sum(written["seconds"].values()), WRITTEN)
