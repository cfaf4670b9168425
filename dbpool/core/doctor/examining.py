"""All findings about a server."""

from __future__ import annotations

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding
from dbpool.core.doctor.nearness import look_at_nearness, look_at_tables
from dbpool.core.doctor.roles import look_at_role
from dbpool.core.doctor.settings import look_at_settings, look_at_state
from dbpool.core.doctor.sizing import Sizing, look_at_limits
from dbpool.core.doctor.transport import look_at_pooler, look_at_transport
from dbpool.core.doctor.versions import look_at_version


def examine(facts: Facts, sizing: Sizing | None) -> list[Finding]:
    """In the order in which one reads them: what it is, who we are, how we got there, what it is set to."""
    return [
        *look_at_version(facts),
        *look_at_state(facts),
        *look_at_role(facts),
        *look_at_transport(facts),
        *look_at_pooler(facts),
        *look_at_limits(facts, sizing),
        *look_at_settings(facts),
        *look_at_nearness(facts),
        *look_at_tables(facts),
    ]
