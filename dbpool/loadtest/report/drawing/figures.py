"""A figure with all that belongs to it: title, legend, drawing, table; as HTML, and as data for the script."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from dbpool.loadtest.report.drawing.keys import key_of
from dbpool.loadtest.report.drawing.markup import numbers_of, short
from dbpool.loadtest.report.drawing.svg import svg_of
from dbpool.loadtest.report.view.figure import Axis, Figure, Row, Series, Texture

WIDE: Final = 1  # figures in a row that is as wide as the page


def row_of(row: Row) -> str:
    """Figures side by side."""
    many = len(row.figures)
    inner = "".join(figure_of(figure, is_wide=many <= WIDE) for figure in row.figures)
    return f'<div class="row of-{min(many, 3)}">{inner}</div>'


def figure_of(figure: Figure, *, is_wide: bool = True) -> str:
    """One figure; the script puts what can be hovered and zoomed beside the drawing, and shows it instead."""
    legend = "".join(
        f"<li data-series={number}>{key_of(series)}<span class=name>{escape(series.name)}</span></li>"
        for number, series in enumerate(figure.series)
    )
    unit = f"<p class=axis aria-hidden=true>{escape(figure.y.label)}</p>"
    return (
        f'<figure class="plot{" wide" if is_wide else ""}" data-figure="{escape(figure.key)}">'
        f"<figcaption><h3>{escape(figure.title)}</h3><p>{escape(figure.says)}</p></figcaption>"
        f"<ul class=legend>{legend}</ul>{unit}"
        f"<div class=still>{svg_of(figure, is_wide=is_wide)}</div>{numbers_of(figure.table)}</figure>"
    )


def data_of(figure: Figure) -> dict[str, Any]:
    """The same numbers for the script."""
    data: dict[str, Any] = {
        "title": figure.title,
        "x": _axis(figure.x),
        "y": _axis(figure.y),
        "xs": short(figure.xs),
        "series": [_series(series) for series in figure.series],
        "rules": [{"at": rule.at, "name": rule.name, "upright": rule.is_upright} for rule in figure.rules],
        "spans": [[round(span.start, 2), round(span.end, 2), span.name] for span in figure.spans],
    }
    if figure.band is not None:
        data["band"] = [*figure.band, figure.band_name]
    if figure.names is not None:
        data["names"] = list(figure.names)
    if figure.reach is not None:
        data["reach"] = figure.reach
    if figure.follows is not None:
        data["follows"] = figure.follows
    return data


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "label": axis.label,
        "log": axis.scale == "log",
        "low": axis.low,
        "high": axis.high,
        "ticks": [[at, name] for at, name in axis.ticks],
        "unit": axis.unit,
    }


def _series(series: Series) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": series.name,
        "kind": series.kind.value,
        "color": series.color.value,
        "values": short(series.values),
    }
    for name in ("xs", "lows", "highs"):
        if (column := getattr(series, name)) is not None:
            data[name] = short(column)
    if series.hollow is not None and any(series.hollow):
        data["hollow"] = [int(is_hollow) for is_hollow in series.hollow]
    if series.marker is not None:
        data["marker"] = series.marker.value
    if series.texture is not Texture.PLAIN:
        data["texture"] = series.texture.value
    if series.is_dashed:
        data["dashed"] = True
    return data
