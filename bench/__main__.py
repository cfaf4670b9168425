"""``python -m bench``: measure, print, never judge by the exit code."""

from __future__ import annotations

import json
import sys
from typing import Any

import asyncpg

from bench.document import as_document
from bench.measuring import measure_all
from bench.options import parse
from bench.process import progress
from bench.report import judged, tables, targets_table
from bench.tables import as_plain
from bench.targets import summary
from dbpool import DbPoolError


def main() -> None:
    options = parse()
    try:
        results = measure_all(options)
    except (OSError, asyncpg.PostgresError, DbPoolError) as error:
        sys.exit(f"No server to measure on, or no right to make a database there: {type(error).__name__}: {error}")
    print(json.dumps(results, indent=1) if options.json else as_text(results))
    if options.write is not None:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(as_document(results), encoding="utf-8")
        progress(f"written: {options.write}")


def as_text(results: dict[str, Any]) -> str:
    all_judged = judged(results)
    machine = "\n".join(f"{name}: {value}" for name, value in results["machine"].items())
    skipped = [
        f"left out on {loop}: {name}: {why}"
        for loop, measured in results.get("lookups", {}).items()
        for name, why in measured["skipped"].items()
    ]
    shown = [as_plain(table) for table in tables(results)]
    if all_judged:
        shown += [as_plain(targets_table(all_judged))]
    last = f"{summary(all_judged)}; the run took {results['took_s']} s" if all_judged else f"{results['took_s']} s"
    return "\n".join([machine, "", *skipped, "", *shown, last])


if __name__ == "__main__":
    main()
