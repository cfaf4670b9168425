"""The whole distribution of a point: each further nine of the percentile takes the same room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Series, Table
from dbpool.loadtest.report.view.reading import Json, at, histogram_of, points_of, spectrum_of, swept

STEPS: Final = 12  # points on the curve for each nine
NINES: Final = 5
PANELS: Final = 3
SHARES: Final = [1 - 10 ** (-step / STEPS) for step in range(1, STEPS * NINES + 1)]
SHOWN: Final = {0.5: "50 %", 0.75: "75 %", 0.9: "90 %", 0.95: "95 %", 0.99: "99 %", 0.999: "99.9 %", 0.9999: "99.99 %"}
ALL: Final = sorted({0.0, *SHARES, *SHOWN})


def spectra(document: Json) -> list[Figure]:
    """Response and service of the points that matter most."""
    made = (_figure(f"spectrum-{number}", *chosen) for number, chosen in enumerate(_chosen(document)))
    return list(islice(filter(None, made), PANELS))


def _chosen(document: Json) -> Iterator[tuple[str, str, Sequence[Json]]]:
    size = at(document, "recommendation", "pool_size") or at(document, "knee", "size")
    sweep = [point for point in swept(document) if point.get("pool_size") == size]
    if sweep:
        yield f"Closed loop, {size} connections", "As many clients as connections, all repeats.", sweep
    steps = at(document, "overload", "steps") or []
    points = {point["id"]: point for point in points_of(document)}
    below = [step for step in steps if step["share"] < 1]
    for step in [*below[-1:], *[step for step in steps[-1:] if step["share"] > 1]]:
        if step.get("point") in points:
            says = "Open loop: the response counts from when a transaction was due, so that no wait is left out."
            yield f"{numbers.percent(step['share'])} of the most", says, [points[step["point"]]]
    for point in points_of(document, "bench", "soak"):
        yield f"{point['stage']}, point {point['id']}", f"Driver {point.get('driver')}.", [point]


def _figure(key: str, title: str, says: str, points: Sequence[Json]) -> Figure | None:
    found = {
        name: spectrum_of(histogram, ALL)
        for name in ("response", "service")
        if (histogram := histogram_of(points, f"{name}_ms")) is not None and histogram.n
    }
    many = sum(value is not None for value in next(iter(found.values()), []))
    if many < 2:
        return None
    xs = [1 / (1 - share) for share in ALL[:many]]
    looks = {"response": (Color.MAIN, False), "service": (Color.WORK, True)}
    values = [value for column in found.values() for value in column]
    return Figure(
        key=key,
        title=title,
        says=says,
        x=axes.of_shares("of all transactions", xs[-1]),
        y=axes.logarithmic("ms", values, unit="ms"),
        xs=xs,
        names=[f"{share * 100:.5g} %" for share in ALL[:many]],
        series=[
            Series(name=name, values=column[:many], color=looks[name][0], is_dashed=looks[name][1])
            for name, column in found.items()
        ],
        table=Table(
            f"{title}: percentiles",
            ["percentile", *(f"{name} ms" for name in found)],
            [
                [
                    name,
                    *(
                        numbers.TOO_FEW if (value := column[ALL.index(share)]) is None else numbers.figure(value)
                        for column in found.values()
                    ),
                ]
                for share, name in SHOWN.items()
            ],
        ),
    )
