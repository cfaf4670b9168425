"""The keyword arguments of DatabasePool, for type checkers."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TypedDict

from dbpool.hosts import Order, Target
from dbpool.poolermode import Pooler
from dbpool.settings import AskCredentials, Reset


class Options(TypedDict, total=False):
    """The fields of PoolSettings but for the two that DatabasePool takes by position."""

    target_session_attrs: Target | str | None
    load_balance_hosts: Order | str | None
    credentials: AskCredentials | None
    credentials_ttl: float
    min_connections: int
    max_waiting: int | None
    fleet_budget: int | None
    fleet_members: int
    name: str
    acquire_timeout: float
    query_timeout: float
    connect_timeout: float
    reset_timeout: float
    close_timeout: float
    quarantine_timeout: float
    outage_patience: float
    max_connecting: int
    max_lifetime: float
    max_idle: float
    keepalive: float
    leak_after: float | None
    slow_query: float | None
    slow_acquire: float | None
    deadline_aware: bool
    adaptive: bool
    coalesce: bool
    warn_nested: bool
    reset: Reset | str
    trusted_functions: frozenset[str]
    statement_cache_size: int
    pooler: Pooler | str | None
    server_settings: Mapping[str, str]
    ssl: ssl.SSLContext | str | bool | None
