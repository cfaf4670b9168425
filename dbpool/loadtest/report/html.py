"""A run's report as one HTML file that needs nothing else: no network, no other file, and no script to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from dbpool.loadtest.report.drawing.chapters import contents_of, section_of
from dbpool.loadtest.report.drawing.figures import data_of
from dbpool.loadtest.report.drawing.textures import textures_of
from dbpool.loadtest.report.view.contents import figures_of, sections_of
from dbpool.loadtest.report.view.heading import Heading, heading_of
from dbpool.pages.data import json_of
from dbpool.pages.inlined import hash_of, inlined

ASSETS: Final = "loadtest/report/assets/"
STYLES: Final = (
    "pages/assets/uplot/uPlot.min.css",
    "pages/assets/base.css",
    *(ASSETS + name for name in ("page.css", "plots.css")),
)
SCRIPTS: Final = (
    "pages/assets/uplot/uPlot.iife.min.js",
    *(ASSETS + name for name in ("canvas.js", "plots.js", "page.js")),
)


def page(document: Mapping[str, Any]) -> str:
    """The report of *document*, as JSON has it; a section that it has no numbers for is left out."""
    return _page(_pieces(document), SCRIPTS, connects="'none'", now="")


def live(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The page that goes on to show what its server tells, and what of it a later state replaces."""
    found = _pieces(document)
    text = _page(found, (*SCRIPTS, ASSETS + "live.js"), connects="'self'", now='<p id="now" role="status"></p>')
    return text, {
        "title": found.title,
        "heading": found.heading,
        "contents": found.contents,
        "sections": found.sections,
        "textures": found.textures,
        "figures": found.figures,
    }


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a page is put together from, as HTML; *sections* are (key, HTML), *figures* the data of each by key."""

    title: str
    heading: str
    contents: str
    sections: list[tuple[str, str]]
    textures: str
    figures: dict[str, Any]


def _pieces(document: Mapping[str, Any]) -> _Pieces:
    sections = sections_of(document)
    figures = figures_of(sections)
    heading = heading_of(document)
    return _Pieces(
        title=heading.title,
        heading=_heading(heading),
        contents=contents_of(sections),
        sections=[(section.key, section_of(section)) for section in sections],
        textures=textures_of(figures),
        figures={figure.key: data_of(figure) for figure in figures},
    )


def _page(found: _Pieces, script_names: tuple[str, ...], *, connects: str, now: str) -> str:
    style, script = inlined(STYLES), inlined(script_names)
    policy = (
        f"default-src 'none'; style-src {hash_of(style)}; script-src {hash_of(script)}; "
        f"connect-src {connects}; base-uri 'none'; form-action 'none'"
    )
    sections = "".join(
        f'\n<section id="{key}" aria-labelledby="{key}-title">{inner}</section>' for key, inner in found.sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(found.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#report">Skip to the report</a>\n'
        f'<header><div id="heading">{found.heading}</div>{now}</header>\n'
        f'<nav id="contents" aria-label="Sections">{found.contents}</nav>\n'
        f'<div id="textures">{found.textures}</div>\n<main id="report" tabindex="-1">{sections}</main>\n'
        "<footer><p>Made by dbpool loadtest. Plots: uPlot 1.6.32, © 2022 Leon Sorokin, MIT licence.</p></footer>\n"
        f'<script type="application/json" id="figures">{json_of(found.figures)}</script>\n<script>{script}</script>\n'
        "</body>\n</html>\n"
    )


def _heading(found: Heading) -> str:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in found.facts)
    status = f'<span class="status {escape(found.status)}">{escape(found.status)}</span>' if found.status else ""
    return f"<h1>{escape(found.name)} {status}</h1><ul class=facts>{facts}</ul>"
