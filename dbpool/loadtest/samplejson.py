"""A look at the server as it stands in a run's JSON: None for what could not be seen."""

from __future__ import annotations

from typing import Any

from dbpool.loadtest.server.sampler import Sample


def sample_json(sample: Sample) -> dict[str, Any]:
    """The line of ``samples``, but for when it was."""
    return {
        "ours": sample.ours,
        "others": sample.others,
        "waits": sample.waits,
        "cpu": sample.cpu,
        "commits": (sample.deltas.get("database") or {}).get("commits"),
        "took_ms": sample.took_ms,
    }
