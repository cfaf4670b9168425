"""Throughput against the size of the pool: where it stops growing."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Marker, Rule, Series, Table
from dbpool.loadtest.report.view.reading import Json, Repeats, at, by_size, swept


def throughput(document: Json) -> Figure | None:
    """The figure; None where fewer than two sizes were measured."""
    sizes = [each for each in by_size(swept(document)) if each.tps is not None]
    if len(sizes) < 2:
        return None
    measured, ideal, law = _measured(document, sizes), _ideal(sizes), _law(document, sizes[-1].size)
    series = [ideal, *([law] if law else []), measured]
    tops = [*measured.values, *(measured.highs or [])]
    knee = at(document, "knee") or {}
    peak, enough = knee.get("peak_tps"), at(document, "settings", "enough")
    band = (peak * enough, peak) if peak and enough else None
    rules = [Rule(knee["size"], f"knee: {knee['size']}", is_upright=True)] if knee.get("size") else []
    return Figure(
        key="throughput",
        title="Throughput by pool size",
        says=_says(knee, sizes),
        x=axes.of_sizes("connections in the pool", [each.size for each in sizes]),
        y=axes.from_zero("transactions a second", tops, unit="/s"),
        xs=[float(each.size) for each in sizes],
        series=series,
        rules=rules,
        band=band,
        band_name=f"within {numbers.percent(1 - enough)} of the peak" if enough else "",
        table=_table(document, sizes, measured),
    )


def _measured(document: Json, sizes: Sequence[Repeats]) -> Series:
    """With the intervals of the analysis, where there was one."""
    known = {each["size"]: each for each in at(document, "knee", "sizes") or []}
    values, lows, highs = [], [], []
    for each in sizes:
        judged, ends = known.get(each.size), each.interval or (None, None)
        values.append(judged["tps"] if judged else each.tps)
        lows.append(judged["low"] if judged else ends[0])
        highs.append(judged["high"] if judged else ends[1])
    return Series(
        name="measured, with its 95 % interval",
        values=values,
        lows=lows,
        highs=highs,
        hollow=[each.is_bound for each in sizes],
        color=Color.MAIN,
        marker=Marker.CIRCLE,
    )


def _ideal(sizes: Sequence[Repeats]) -> Series:
    """As if each connection brought what the first brought; drawn as far as it is near the data."""
    first = sizes[0]
    assert first.tps is not None
    top = max(each.tps or 0 for each in sizes) * 1.06
    each_brings = first.tps / first.size
    xs = [float(size) for size in range(first.size, sizes[-1].size + 1) if size * each_brings <= top]
    xs.append(top / each_brings)
    xs = sorted(set(xs))
    return Series(
        name="if each brought what the first brings",
        xs=xs,
        values=[size * each_brings for size in xs],
        color=Color.QUIET,
        is_dashed=True,
    )


def _law(document: Json, largest: int) -> Series | None:
    curve = [(n, tps) for n, tps in at(document, "usl", "curve") or [] if n <= largest]
    if not curve:
        return None
    doubt = "" if at(document, "usl", "valid") else ", which does not hold here"
    return Series(
        name=f"Universal Scalability Law{doubt}",
        xs=[float(n) for n, _ in curve],
        values=[tps for _, tps in curve],
        color=Color.ODD,
        is_dashed=True,
    )


def _law_at(document: Json, sizes: Sequence[Repeats]) -> dict[int, float]:
    """The law's throughput for each size, empty where there is no law."""
    usl = document.get("usl")
    if not usl or None in (usl.get("lambda"), usl.get("sigma"), usl.get("kappa")):
        return {}
    return {
        n: usl["lambda"] * n / (1 + usl["sigma"] * (n - 1) + usl["kappa"] * n * (n - 1))
        for n in (s.size for s in sizes)
    }


def _says(knee: Json, sizes: Sequence[Repeats]) -> str:
    hollow = " Hollow: the load generator was at its limit there, not the server." if _any_bound(sizes) else ""
    if knee.get("size") is None:
        best = max(sizes, key=lambda each: each.tps or 0)
        return f"The most was {numbers.rate(best.tps)}/s, with {best.size} connections.{hollow}"
    part = knee["tps"] / knee["peak_tps"] if knee.get("tps") and knee.get("peak_tps") else None
    most = f", {numbers.percent(part)} of the peak" if part is not None else ""
    return f"{knee['size']} connections give {numbers.rate(knee.get('tps'))}/s{most}.{hollow}"


def _any_bound(sizes: Sequence[Repeats]) -> bool:
    return any(each.is_bound for each in sizes)


def _table(document: Json, sizes: Sequence[Repeats], measured: Series) -> Table:
    law = _law_at(document, sizes)
    rows = [
        [
            numbers.count(each.size),
            numbers.rate(tps),
            numbers.rate(low),
            numbers.rate(high),
            numbers.count(len(each.points)),
            *([numbers.rate(law[each.size])] if law else []),
            "the generator" if each.is_bound else "the server",
        ]
        for each, tps, low, high in zip(sizes, measured.values, measured.lows or [], measured.highs or [], strict=True)
    ]
    head = ["connections", "tps", "95 % from", "to", "repeats", *(["USL"] if law else []), "what set the limit"]
    return Table("Throughput by pool size", head, rows)
