"""Which points of runs have the same load, and which of a sweep count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from dbpool.loadtest.load import DriverName

PointJson: TypeAlias = Mapping[str, Any]
LOAD: Final = ("stage", "driver", "workers", "pool_size", "gate", "clients", "offered_rate")
"""What makes a load: points that agree in all of it are repeats of one another."""

Key: TypeAlias = tuple[Any, ...]


def key_of(point: PointJson) -> Key:
    """What its load is, to be looked up by: as many arrivals, evenly spaced or at random, are two loads."""
    return tuple(point[name] for name in (*LOAD, "arrival"))


def by_load(points: Iterable[PointJson]) -> dict[Key, list[PointJson]]:
    """The repeats of each load, in the order of their first."""
    loads: dict[Key, list[PointJson]] = {}
    for point in points:
        loads.setdefault(key_of(point), []).append(point)
    return loads


def swept_in(document: Mapping[str, Any]) -> list[PointJson]:
    """The points of the sweep that may be compared: those of as many load processes as the last, if they are whole."""
    points = document.get("points") or []
    swept = [each for each in points if each.get("stage") == "sweep" and "incomplete" not in (each.get("flags") or ())]
    return [each for each in swept if each.get("most_workers") == swept[-1].get("most_workers")]


def counted_in(document: Mapping[str, Any]) -> list[PointJson]:
    """Those of them that show the server's limit, not the generator's."""
    return [each for each in swept_in(document) if not is_bound(each)]


def is_bound(point: PointJson) -> bool:
    """Whether the generator was at its limit."""
    return bool((point.get("generator") or {}).get("bound"))


def name_of(load: Mapping[str, Any]) -> str:
    """A load in words, without its stage: ``dbpool, pool of 14, 64 clients``."""
    words = [load["driver"]]
    if load["pool_size"] is not None:
        words.append(f"pool of {load['pool_size']}")
    if load["gate"] not in (None, load["pool_size"]):
        words.append(f"gate of {load['gate']}")
    if load["clients"] is None:
        words.append(f"{load['offered_rate']:,.0f}/s")
    elif load["clients"] != load["pool_size"] or load["driver"] == DriverName.NOOP:
        words.append(f"{load['clients']:,} client{'' if load['clients'] == 1 else 's'}")
    if load["workers"] > 1:
        words.append(f"{load['workers']} workers")
    return ", ".join(words)
