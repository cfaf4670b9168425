"""The status page: a document's tables and sentences as one HTML file that asks for nothing elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from dbpool.pages.data import json_of
from dbpool.pages.inlined import hash_of, inlined

if TYPE_CHECKING:
    from dbpool.web.board import Snapshot

STYLES: Final = ("pages/assets/uplot/uPlot.min.css", "pages/assets/base.css", "web/assets/status.css")
SCRIPTS: Final = ("pages/assets/uplot/uPlot.iife.min.js", "web/assets/status.js")
BUILD: Final = hash_of(inlined(STYLES) + inlined(SCRIPTS))
POLICY: Final = (
    f"default-src 'none'; style-src {hash_of(inlined(STYLES))}; script-src {hash_of(inlined(SCRIPTS))}; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

ASK_POLICY: Final = (
    f"default-src 'none'; style-src {hash_of(inlined(STYLES))}; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
CHARTS: Final = {
    "connections": "Connections",
    "line": "Callers in line",
    "wait": "Time in line",
    "granted": "Connections granted a second",
    "errors": "Callers turned away a second",
}


def page_of(snapshot: Snapshot) -> str:
    """The page as of now; with JavaScript it goes on by itself."""
    style, script = inlined(STYLES), inlined(SCRIPTS)
    sections = snapshot.sections
    pools = "".join(_frame(at, sections) for at in range(len(snapshot.pools)))
    return (
        f"{_head(snapshot.title)}<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#pools">Skip to the pools</a>\n'
        f"<header><h1>{escape(snapshot.title)}</h1>"
        '<p id="live" role="status">As of this moment: reload the page to see the next.</p></header>\n'
        f'<main id="pools" tabindex="-1">{pools}</main>\n'
        '<footer><p>Times are UTC. The same as <a href="status.json">JSON</a>. '
        "Made by dbpool; plots: uPlot 1.6.32, © 2022 Leon Sorokin, MIT licence.</p></footer>\n"
        f'<script type="application/json" id="state">{json_of(snapshot.whole)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def token_page(title: str, sentence: str) -> str:
    """Asks for the token."""
    return (
        f'{_head(title)}<style>{inlined(STYLES)}</style>\n</head>\n<body>\n<main class="ask"><h1>{escape(title)}</h1>'
        f'<p>{escape(sentence)}</p><form method="post"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        '<button type="submit">Show the page</button></form></main>\n</body>\n</html>\n'
    )


def onward_page(title: str) -> str:
    """Leads to the page without the token in its address; a redirect would be asked without the new cookie."""
    return (
        f'{_head(title)}<meta http-equiv="refresh" content="0; url=./">\n</head>\n'
        '<body><p><a href="./">Go on</a></p></body>\n</html>\n'
    )


def _head(title: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n"
    )


def _frame(at: int, sections: dict[str, str]) -> str:
    """Where the parts of pool *at* stand."""

    def part(name: str) -> str:
        key = f"{name}-{at}"
        return f'<div class="part {name}" id="{key}">{sections[key]}</div>'

    charts = "".join(
        f'<figure class="chart {key}" data-chart="{key}"><figcaption><h3>{title}</h3></figcaption>'
        "<ul class=legend></ul><div class=plot></div></figure>"
        for key, title in CHARTS.items()
    )
    return (
        f'<section class="pool">{part("verdict")}{part("numbers")}'
        f'<div class="charts" data-pool="{at}" hidden>{charts}</div>'
        + "".join(map(part, ("holders", "waiters", "lanes", "slow", "sites", "events", "minutes")))
        + "</section>"
    )
