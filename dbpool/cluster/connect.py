"""How a worker makes its pool: with the settings of the pool that the job was asked of, or as the caller says."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from dbpool.errors import UsageError
from dbpool.pool import DatabasePool
from dbpool.settings import PoolSettings

Connect: TypeAlias = Callable[[int, str], DatabasePool]
"""A pool, not open yet, of so many connections at the most, which all have this application_name."""

IDLE_S = 10.0  # then a worker whose client is gone closes its connections
_OWN = ("dsn", "max_connections", "min_connections", "max_idle", "name", "server_settings")


@dataclass(frozen=True, slots=True)
class SameSettings:
    """Makes pools like one that is there; sent to workers, and shows nothing of its password on the way."""

    dsn: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, settings: PoolSettings, *, is_private: bool) -> SameSettings:
        """As *settings* say.

        Args:
            is_private: nobody else can read what is sent to the workers.
        Raises:
            UsageError: they cannot be sent, or not by this way.
        """
        dsn = settings.dsn.reveal()
        if isinstance(settings.ssl, ssl.SSLContext):
            raise UsageError("an ssl.SSLContext cannot be sent to the workers of a cluster: give run_on(connect=...)")
        if not is_private and _has_password(dsn):
            raise UsageError(
                "the password of this pool would be sent to the cluster's workers for everybody on the network to "
                "read: use a cluster with TLS (tls://...), or leave the password out and give the workers a .pgpass "
                "file, or give run_on(connect=...) a function that finds it there"
            )
        options = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in _OWN}
        return cls(dsn, {**options, "server_settings": dict(settings.server_settings)})

    def __call__(self, connections: int, application_name: str) -> DatabasePool:
        server_settings = {**self.options["server_settings"], "application_name": application_name}
        options: dict[str, Any] = {**self.options, "server_settings": server_settings}
        return DatabasePool(self.dsn, connections, max_idle=IDLE_S, name=application_name, **options)


def _has_password(dsn: str) -> bool:
    parts = urlsplit(dsn)
    return bool(parts.password) or "password" in parse_qs(parts.query)
