"""An operation's name and attributes, by the conventions; worked out once for each SQL text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from dbpool.core.querysummary import Summary, shown_text, summary_of
from dbpool.core.sqltext import SqlTextError
from dbpool.dsn import Dsn
from dbpool.observing import Asked, Operation
from dbpool.telemetry import conventions as names

Attributes = dict[str, str | int]

LONGEST_KEPT = 4096  # characters of a text that is remembered
MOST_KEPT = 4096  # texts
DEFAULT_PORT = 5432
LANE = "dbpool.lane"  # a name of our own, as no convention has one

_BATCHES = frozenset({Asked.EXECUTEMANY, Asked.MAP, Asked.JOB, Asked.INSERT, Asked.UPSERT, Asked.UPDATE})
_OF_A_TABLE = {
    Asked.LOAD: "COPY",
    Asked.EXPORT: "COPY",
    Asked.COPY: "COPY",
    Asked.INSERT: "INSERT",
    Asked.UPSERT: "INSERT",
    Asked.UPDATE: "UPDATE",
}


@dataclass(frozen=True, slots=True)
class Described:
    """What is the same for all calls of one text."""

    name: str
    of_span: Mapping[str, str | int]
    of_metric: Mapping[str, str | int]


class Describer:
    """Describes the operations of one pool.

    Args:
        record_text: have the SQL text, too; its constants are replaced unless it has parameters, as by the convention.
    """

    def __init__(self, dsn: Dsn, *, record_text: bool) -> None:
        self._namespace = dsn.database
        self._common = {names.DB_SYSTEM_NAME: names.POSTGRESQL, **address_of(dsn)}
        if dsn.database:
            self._common[names.DB_NAMESPACE] = dsn.database
        self._record_text = record_text
        self._known: dict[tuple[Asked, str, str, str, bool], Described] = {}

    def describe(self, operation: Operation) -> Described:
        """Looks *operation* up, mostly."""
        is_single = operation.size == 1
        key = (operation.asked, operation.sql, operation.table, operation.line.name, is_single)
        known = self._known.get(key)
        if known is None:
            known = self._describe(operation, is_single=is_single)
            if len(operation.sql) <= LONGEST_KEPT:
                if len(self._known) >= MOST_KEPT:  # a program that makes its SQL as it runs must not fill the memory
                    self._known.clear()
                self._known[key] = known
        return known

    def _describe(self, operation: Operation, *, is_single: bool) -> Described:
        asked, sql = operation.asked, operation.sql
        if asked is Asked.TRANSACTION:
            summary = Summary("", "TRANSACTION")
        elif operation.table:
            summary = Summary(f"{_OF_A_TABLE[asked]} {operation.table}", _OF_A_TABLE[asked], operation.table)
        else:
            summary = _summary(sql)
            if asked in (Asked.EXPORT, Asked.COPY):
                summary = Summary(f"COPY {summary.text}".strip(), "COPY")
        if asked in _BATCHES and not is_single:
            summary = Summary(
                f"BATCH {summary.text}".strip(),
                f"BATCH {summary.operation}".strip(),
                summary.table,
                summary.procedure,
            )
        found = {
            names.DB_QUERY_SUMMARY: summary.text,
            names.DB_OPERATION_NAME: summary.operation,
            names.DB_COLLECTION_NAME: summary.table,
            names.DB_STORED_PROCEDURE_NAME: summary.procedure,
        }
        of_metric: Attributes = self._common | {name: value for name, value in found.items() if value}
        of_span = dict(of_metric)
        if operation.line.name:
            of_span[LANE] = operation.line.name
        text = shown_text(sql) if self._record_text else ""
        if text:
            of_span[names.DB_QUERY_TEXT] = text
        target = summary.table or self._namespace
        name = summary.text or f"{summary.operation} {target}".strip() or names.POSTGRESQL
        return Described(name, of_span, of_metric)


def _summary(sql: str) -> Summary:
    try:
        return summary_of(sql)
    except SqlTextError:  # the server will say what is wrong with it
        return Summary()


def address_of(dsn: Dsn) -> Attributes:
    """``server.address``, and ``server.port`` if it is not the usual one; nothing where several hosts are named."""
    query = dict(parse_qsl(urlsplit(dsn.reveal()).query))
    host, port = dsn.host, query.get("port", "")
    if "," in host or not host:
        return {}
    if not host.startswith("/"):
        name, colon, last = host.rpartition(":")
        if colon and last.isdigit() and (name.endswith("]") or ":" not in name):
            host, port = name, last
        host = unquote(host).strip("[]")
    address: Attributes = {names.SERVER_ADDRESS: host}
    if port.isdigit() and int(port) != DEFAULT_PORT:
        address[names.SERVER_PORT] = int(port)
    return address
