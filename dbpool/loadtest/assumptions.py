"""What an analysis is told, rather than finds in what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from dbpool.core.loadtest.budget import Fleet
from dbpool.core.loadtest.curve import ENOUGH
from dbpool.core.loadtest.recommendation import Tasks

ASSUMED: Final = ("latency_factor", "enough", "instances", "surge", "reserve", "tasks", "connections_each")
"""Those that have an option of their own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """The document's ``settings``.

    Args:
        latency_limit_ms: of service p99; None: *latency_factor* times that of one connection.
        enough: of the peak's throughput.
        instances: of the application, *surge* times as many during a deployment; *reserve* slots are for others.
        tasks: of one instance, which hold *connections_each* at once.
    """

    driver: str = "dbpool"
    workers: int = 1
    latency_limit_ms: float | None = None
    latency_factor: float = 3.0
    enough: float = ENOUGH
    instances: int = 1
    surge: float = 1.0
    reserve: int = 0
    tasks: int = 1
    connections_each: int = 1

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """As a document has them; what is not there is as by default."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def fleet(self) -> Fleet:
        """Raises: SettingsError."""
        return Fleet(self.instances, self.surge, self.reserve)

    @property
    def tasks_of_each(self) -> Tasks:
        return Tasks(self.tasks, self.connections_each)
