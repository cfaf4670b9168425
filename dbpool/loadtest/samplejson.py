"""What the server was seen doing as it stands in a run's JSON: None for what could not be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dbpool.loadtest.server.sampler import Sample
from dbpool.loadtest.server.statements import StatementUse


def sample_json(sample: Sample) -> dict[str, Any]:
    """The line of ``samples``, but for when it was."""
    return {
        "ours": sample.ours,
        "others": sample.others,
        "waits": sample.waits,
        "wait_events": sample.wait_events,
        "cpu": sample.cpu,
        "commits": (sample.deltas.get("database") or {}).get("commits"),
        "took_ms": sample.took_ms,
        "pools": None if sample.pools is None else [asdict(pool) for pool in sample.pools],
    }


def statements_json(stage: str, used: Sequence[StatementUse]) -> list[dict[str, Any]]:
    """The entries of ``statements`` for one stage."""
    return [{"stage": stage, "query": use.text, "calls": use.calls, "total_ms": use.total_ms} for use in used]
