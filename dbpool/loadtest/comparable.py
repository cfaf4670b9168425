"""Whether two runs may be compared, and what else differs between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dbpool.core.loadtest.comparison import Conditions
from dbpool.errors import UsageError
from dbpool.loadtest.saved import Document


class NotComparable(UsageError):
    """Two runs differ in what must be the same; the message says in what."""


def conditions_of(document: Document) -> Conditions:
    """What must be the same in the run it is compared with."""
    workload, target = document["workload"], document["target"]
    scripts = sorted(
        f"{script['name']}@{script['weight']}{_digest(script['sha256'])}" for script in workload["scripts"]
    )
    return Conditions(
        workload=f"{', '.join(scripts)} ({workload['mode']})",
        scale=workload["scale"],
        server_version=f"{target['kind']} {target['version']}",
        is_sharded=any(point["pool_sharded"] for point in document["points"]),
    )


def check_comparable(baseline: Document, document: Document, *, allow_mismatch: bool = False) -> list[str]:
    """What differs of that, in words; empty where nothing does.

    A run that has only begun can be checked, too, before it loads anything: its sharding is not known yet.

    Raises:
        NotComparable: something does, and it is not allowed.
    """
    found = conditions_of(baseline).differences(conditions_of(document))
    if found and not allow_mismatch:
        raise NotComparable(
            f"these runs do not compare: {'; '.join(found)} (--allow-mismatch compares them all the same)"
        )
    return found


def also_differs(baseline: Document, document: Document) -> list[str]:
    """What else is not the same, and may be why figures differ: each in words."""
    return [
        f"{name}: {_word(one)} and {_word(other)}" for name, one, other in _pairs(baseline, document) if one != other
    ]


def _pairs(baseline: Document, document: Document) -> Iterator[tuple[str, Any, Any]]:
    for section, names in {
        "run": ("status",),
        "tool": ("dbpool", "python", "asyncpg", "platform"),
        "target": ("local", "embedded", "cores"),
        "limits": ("max_connections",),
    }.items():
        for name in names:
            yield name.replace("_", " "), baseline[section][name], document[section][name]
    one, other = (each["target"]["settings"] or {} for each in (baseline, document))
    for name in sorted({*one} & {*other}):
        yield name, one[name], other[name]


def _word(value: object) -> str:
    return "not known" if value is None else str(value)


def _digest(sha256: str | None) -> str:
    """Tells two scripts with one name from each other."""
    return "" if sha256 is None else f" {sha256[:8]}"
