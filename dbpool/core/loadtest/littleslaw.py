"""Little's law as a check on a measurement: clients inside = throughput x time inside.

J. D. C. Little: A proof for the queuing formula L = lambda W (Operations Research 9, 1961). It holds for every system
whose beginning and end are small against the whole, so a measurement that breaks it has lost or doubled something.
"""

from __future__ import annotations

from typing import Final

TOLERANCE: Final = 0.03


def off_by(clients: float, tps: float, response_s: float) -> float:
    """The share of *clients*, > 0 inside on average, that ``tps * response_s`` does not account for; 0.0 is perfect."""
    return abs(clients - tps * response_s) / clients


def holds(clients: float, tps: float, response_s: float, tolerance: float = TOLERANCE) -> bool:
    """Whether the three averages of one point fit together; one that does not is suspect."""
    return off_by(clients, tps, response_s) <= tolerance


def waiting_s(clients: float, tps: float, service_s: float) -> float:
    """The average wait before service that follows from the law, at least 0; *tps* > 0."""
    return max(0.0, clients / tps - service_s)
