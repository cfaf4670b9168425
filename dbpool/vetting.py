"""A look at what a server asks of the driver before it is let in."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeAlias

from dbpool.core.authentication import Vetting
from dbpool.errors import InsecureConnection

Introduce: TypeAlias = Callable[[asyncio.Transport, asyncio.BaseProtocol], None]


class Vetted(asyncio.Protocol):
    """Stands before *protocol* until the server is ready for queries, then steps aside.

    What *protocol* must not answer it never sees: *refuse* is told why, and the connection is cut off.
    """

    def __init__(
        self,
        protocol: asyncio.Protocol,
        transport: asyncio.Transport,
        refuse: Callable[[InsecureConnection], None],
    ) -> None:
        self._protocol = protocol
        self._transport = transport
        self._refuse = refuse
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        sock = transport.get_extra_info("socket")
        is_unix = hasattr(socket, "AF_UNIX") and sock is not None and sock.family == socket.AF_UNIX
        self._vetting = Vetting(
            is_private=is_unix or tls is not None,
            is_proven=is_unix or (tls is not None and tls.context.verify_mode is ssl.CERT_REQUIRED),
        )
        self._is_refused = False
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        try:
            passed = self._vetting.passed(data)
        except InsecureConnection as refusal:
            self._is_refused = True
            self._refuse(refusal)
            self._transport.abort()
            return
        if self._vetting.is_over:
            self._transport.set_protocol(self._protocol)
        if passed:
            self._protocol.data_received(passed)


class Announcing:
    """The transport *bare*, but for what happens when a protocol is set on it: *introduce* is called instead."""

    def __init__(self, bare: asyncio.Transport, introduce: Introduce) -> None:
        self.bare = bare
        self._introduce = introduce

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has by this name
        found = getattr(self.bare, name)
        setattr(self, name, found)  # the driver writes by it from now on
        return found

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._introduce(self.bare, protocol)


def bare(transport: asyncio.Transport) -> asyncio.Transport:
    """What *transport* announces, or itself."""
    given: object = transport
    return given.bare if isinstance(given, Announcing) else transport
