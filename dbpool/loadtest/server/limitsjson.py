"""The server's limits as they stand in a run's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dbpool.core.loadtest.budget import Slots
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.opening import Found
from dbpool.loadtest.server.pooler import PoolerLimits


def limits_json(limits: Limits, found: Found | None, pooler: PoolerLimits | None = None) -> dict[str, Any]:
    """The entry ``limits`` of a run's document."""
    return {
        "max_connections": limits.max_connections,
        "superuser_reserved": limits.superuser_reserved,
        "reserved": limits.reserved,
        "role_limit": limits.role_limit,
        "database_limit": limits.database_limit,
        "is_superuser": limits.is_superuser,
        "others": limits.others,
        "others_of_role": limits.others_of_role,
        "others_of_database": limits.others_of_database,
        "usable": limits.usable,
        "free": limits.free,
        "cap": limits.cap,
        "probe": None
        if found is None
        else {
            "reached": found.reached,
            "refusal_class": None if found.refusal is None else found.refusal.value,
            "label": found.label,
            "sqlstate": found.sqlstate,
            "connect_ms_curve": [round(took, 3) for took in found.connect_ms],
            "slot_reuse_ms": found.slot_reuse_ms,
            "lifeline_ms": [round(took, 3) for took in found.lifeline_ms],
            "is_clean": found.is_clean,
            "backend_memory_mb": found.memory_mb,
        },
        "pooler": None if pooler is None else asdict(pooler),
    }


def slots_of(limits: Mapping[str, Any]) -> Slots:
    """The budget that the entry ``limits`` of a document tells."""
    binding: tuple[str, ...] = ("max_connections", "others")
    if not limits["is_superuser"]:  # whom neither limits nor reserves bind
        binding = tuple(field.name for field in fields(Slots))
    return Slots(**{name: limits[name] for name in binding})
