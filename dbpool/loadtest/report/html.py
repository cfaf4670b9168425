"""A run's report as one HTML file that needs nothing else: no network, no other file, and no script to be read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final

from dbpool.loadtest.report.drawing.chapters import contents_of, section_of
from dbpool.loadtest.report.drawing.figures import data_of
from dbpool.loadtest.report.drawing.markup import json_of
from dbpool.loadtest.report.drawing.textures import textures_of
from dbpool.loadtest.report.view.contents import figures_of, sections_of
from dbpool.loadtest.report.view.figure import Section
from dbpool.loadtest.report.view.heading import heading_of

STYLES: Final = ("uplot/uPlot.min.css", "page.css", "plots.css")
SCRIPTS: Final = ("uplot/uPlot.iife.min.js", "canvas.js", "plots.js", "page.js")
LIVE_SCRIPTS: Final = ("live.js",)


def page(document: Mapping[str, Any]) -> str:
    """The report of *document*, as JSON has it; a section that it has no numbers for is left out."""
    return _page(document, SCRIPTS, connects="'none'")


def live_page(document: Mapping[str, Any]) -> str:
    """The same, which goes on to show what its server tells."""
    return _page(document, (*SCRIPTS, *LIVE_SCRIPTS), connects="'self'")


def pieces(document: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in a live page: its heading, contents, sections by key, in order, patterns, figures by key."""
    sections = sections_of(document)
    figures = figures_of(sections)
    return {
        "title": heading_of(document).title,
        "heading": _heading(document),
        "contents": contents_of(sections),
        "sections": [[section.key, section.title, section_of(section)] for section in sections],
        "textures": textures_of(figures),
        "figures": {figure.key: data_of(figure) for figure in figures},
    }


def _page(document: Mapping[str, Any], script_names: Sequence[str], *, connects: str) -> str:
    sections = sections_of(document)
    figures = figures_of(sections)
    style, script = _assets(STYLES), _assets(tuple(script_names))
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        f"connect-src {connects}; base-uri 'none'; form-action 'none'"
    )
    data = json_of({figure.key: data_of(figure) for figure in figures})
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(heading_of(document).title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#report">Skip to the report</a>\n<header id="heading">{_heading(document)}</header>\n'
        f'<nav id="contents" aria-label="Sections">{contents_of(sections)}</nav>\n'
        f'<div id="textures">{textures_of(figures)}</div>\n'
        f'<main id="report" tabindex="-1">{"".join(map(_section, sections))}</main>\n'
        f"<footer><p>Made by dbpool loadtest. Plots: uPlot 1.6.32, © 2022 Leon Sorokin, MIT licence.</p>"
        f'</footer>\n<script type="application/json" id="figures">{data}</script>\n<script>{script}</script>\n'
        "</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    return f'\n<section id="{section.key}" aria-labelledby="{section.key}-title">{section_of(section)}</section>'


def _heading(document: Mapping[str, Any]) -> str:
    found = heading_of(document)
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in found.facts)
    status = f'<span class="status {escape(found.status)}">{escape(found.status)}</span>' if found.status else ""
    return f"<h1>{escape(found.name)} {status}</h1><ul class=facts>{facts}</ul>"


@cache
def _assets(names: tuple[str, ...]) -> str:
    """Files of this package, one after the other."""
    folder = files("dbpool.loadtest.report") / "assets"
    return "\n".join((folder / name).read_text("utf-8").strip() for name in names)


@cache
def _hash(text: str) -> str:
    """Of what may run or style, as a Content-Security-Policy has it."""
    return b64encode(sha256(text.encode()).digest()).decode()
