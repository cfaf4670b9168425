"""The chapters of a report, those that have something to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dbpool.loadtest.report.comparisons import sentences, whole_table
from dbpool.loadtest.report.view.figure import Figure, Notes, Part, Row, Section, Table, Words
from dbpool.loadtest.report.view.fleets import budget, fleet, soak
from dbpool.loadtest.report.view.glance import at_a_glance
from dbpool.loadtest.report.view.latency import latencies
from dbpool.loadtest.report.view.method import how
from dbpool.loadtest.report.view.pooled import pooled, pooler_settings
from dbpool.loadtest.report.view.probed import limits
from dbpool.loadtest.report.view.pushed import pushed
from dbpool.loadtest.report.view.reading import Json
from dbpool.loadtest.report.view.sessions import connections, statements, wait_events, waits
from dbpool.loadtest.report.view.spectrum import spectra
from dbpool.loadtest.report.view.storms import storms
from dbpool.loadtest.report.view.throughput import throughput
from dbpool.loadtest.report.view.timeline import over_time
from dbpool.loadtest.report.view.timespent import times_spent

ABREAST: Final = 3  # figures that have room beside each other


def sections_of(document: Json) -> list[Section]:
    """All that *document* has numbers for."""
    all_of_them = [
        Section("glance", "At a glance", at_a_glance(document)),
        Section("size", "Throughput", _known([throughput(document)])),
        Section("latency", "Latency", _rows([latencies(document)])),
        Section("spent", "Where the time goes", _rows(_shared(times_spent(document), spectra(document)))),
        Section("overload", "Overload", pushed(document)),
        Section("time", "Over time", over_time(document)),
        Section("server", "On the server", _server(document)),
        Section("limits", "Limits", [*limits(document), *_known([pooler_settings(document)])]),
        Section("storm", "Storms", storms(document)),
        Section("soak", "Soak", soak(document)),
        Section("fleet", "Fleet", fleet(document)),
        Section("budget", "Connection budget", budget(document)),
        Section("compared", "Compared with the baseline", _compared(document)),
        Section("method", "Method and settings", how(document)),
    ]
    return [section for section in all_of_them if section.parts]


def figures_of(sections: Iterable[Section]) -> list[Figure]:
    """All figures, in order."""
    found: list[Figure] = []
    for section in sections:
        for part in section.parts:
            if isinstance(part, Figure):
                found.append(part)
            elif isinstance(part, Row):
                found += part.figures
    return found


def _compared(document: Json) -> list[Part]:
    found = document.get("comparison")
    if not found:
        return []
    worse = [Notes("Worse by more than is allowed", found["regressions"])] if found["regressions"] else []
    return [Words(found["text"]), *worse, whole_table(found), Notes("About the comparison", sentences(found))]


def _server(document: Json) -> list[Part]:
    return _known(
        [connections(document), pooled(document), waits(document), wait_events(document), statements(document)]
    )


def _known(parts: Iterable[Figure | Table | None]) -> list[Part]:
    return [part for part in parts if part is not None]


def _shared(*rows: list[Figure]) -> list[list[Figure]]:
    """In one row what is few enough for one."""
    together = [figure for row in rows for figure in row]
    return [together] if len(together) <= ABREAST else list(rows)


def _rows(rows: Iterable[list[Figure]]) -> list[Part]:
    return [Row(figures) for figures in rows if figures]
