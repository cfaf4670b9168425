"""TLS as an address, a setting or the environment asks for it, as libpq reads them."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from dbpool.core.loopback import host_of
from dbpool.core.transport import SAFE, is_near, is_unprotected, mode_for, weakness
from dbpool.dsn import SSL_MODES, Dsn, parameters_of
from dbpool.errors import SettingsError

log = logging.getLogger("dbpool")

Asked: TypeAlias = ssl.SSLContext | str | bool | None

SYSTEM: Final = "system"  # sslrootcert: the authorities that this machine trusts
_OLDEST: Final = ssl.TLSVersion.TLSv1_2
_HOME: Final = Path("~/.postgresql")


class Tls:
    """How each connection to the address *dsn* is protected.

    Beyond loopback and unix sockets that is ``verify-full``, unless *asked*, the address, its service or PGSSLMODE
    says otherwise. Authorities are those of sslrootcert or ~/.postgresql/root.crt, else the machine's.

    Raises:
        SettingsError: what is asked for contradicts itself.
    """

    def __init__(self, dsn: Dsn, asked: Asked = None) -> None:
        self._options = _options_of(dsn)
        self._context: ssl.SSLContext | None = None
        self._files: tuple[object, ...] | None = None
        self._told_role = False
        self._given = asked if isinstance(asked, ssl.SSLContext) else None
        self.hosts = _hosts_of(dsn, self._options)
        self.mode, self._said_by = self._mode(asked)
        if self._given is None:
            self._check()

    def argument(self) -> ssl.SSLContext | str:
        """What the driver takes as ``ssl``; files that have changed are read again.

        Raises:
            OSError: a file cannot be read.
            SettingsError: a file is not what it should be.
        """
        if self._given is not None:
            return self._given
        if is_unprotected(self.mode):
            return self.mode
        files = self._stamps()
        if self._context is None or files != self._files:
            self._context, self._files = self._make(), files
        return self._context

    def of_libpq(self) -> dict[str, str]:
        """What libpq, which by itself prefers TLS and checks nothing, is to be told beside the address."""
        is_rooted = self._option("sslrootcert") is not None or _own_file("root.crt") is not None
        return {"sslmode": self.mode} | ({} if is_rooted or self.mode != SAFE else {"sslrootcert": SYSTEM})

    def tell(self, name: str) -> None:
        """Log once, for the pool *name*, what was asked for and is weaker than it would be by itself."""
        said = weakness(self.mode, self.hosts, self._said_by)
        if said is not None:
            log.log(logging.WARNING if is_unprotected(self.mode) else logging.INFO, "%s: %s", name, said)

    def tell_role(self, name: str, is_superuser: str) -> None:
        """Log once if it is a superuser that the pool *name* connects to another machine as."""
        if is_superuser == "on" and not self._told_role and not all(map(is_near, self.hosts)):
            self._told_role = True
            log.warning(
                "%s: connected to %s as a superuser, for whom no policy, limit or right holds: give the program a role "
                "with no more rights than it needs",
                name,
                ", ".join(self.hosts),
            )

    def _mode(self, asked: Asked) -> tuple[str, str]:
        if isinstance(asked, ssl.SSLContext):
            is_proving = asked.verify_mode is ssl.CERT_REQUIRED
            mode = (SAFE if asked.check_hostname else "verify-ca") if is_proving else "require"
            return mode, "the SSLContext given as ssl"
        if isinstance(asked, bool):
            return (SAFE if asked else "disable"), "ssl"
        for said, said_by in (
            (asked, "ssl"),
            (self._options.get("sslmode"), "the address"),
            (os.environ.get("PGSSLMODE"), "PGSSLMODE"),
        ):
            if said:
                mode = str(said).replace("_", "-")
                if mode not in SSL_MODES:
                    raise SettingsError(f"the sslmode that {said_by} gives is none of {', '.join(SSL_MODES)}")
                return mode, said_by
        return (SAFE if self._option("sslrootcert") == SYSTEM else mode_for(self.hosts)), "nobody"

    def _check(self) -> None:
        root = self._option("sslrootcert")
        if root == SYSTEM and self.mode != SAFE:
            raise SettingsError(f"sslrootcert=system goes with sslmode=verify-full only, not with {self.mode}")
        is_rooted = root is not None or _own_file("root.crt") is not None
        if self.mode == "require" and is_rooted:
            self.mode = "verify-ca"  # as libpq does
        if self.mode == "verify-ca" and not is_rooted:
            raise SettingsError(
                "sslmode=verify-ca needs sslrootcert, the file of the server's authority: by those that this machine "
                "trusts anybody can have a certificate, so that only verify-full is worth something with them"
            )
        for name in ("ssl_min_protocol_version", "ssl_max_protocol_version"):
            self._version(name)

    def _option(self, name: str) -> str | None:
        return self._options.get(name) or os.environ.get("PG" + name.replace("_", "").upper()) or None

    def _stamps(self) -> tuple[object, ...]:
        """What changes when a file is replaced, as certificates are before they expire."""
        found: list[object] = []
        for name, own in _FILES.items():
            if (file := self._option(name) or _own_file(own)) and file != SYSTEM:
                with suppress(OSError):  # told when it is read
                    seen = Path(file).stat()
                    found.append((file, seen.st_ino, seen.st_mtime_ns, seen.st_size))
        return tuple(found)

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which, made by hand, leaves SSLKEYLOGFILE alone
        context.check_hostname = self.mode == SAFE
        context.verify_mode = ssl.CERT_NONE if self.mode == "require" else ssl.CERT_REQUIRED
        context.minimum_version = self._version("ssl_min_protocol_version") or _OLDEST
        context.maximum_version = self._version("ssl_max_protocol_version") or ssl.TLSVersion.MAXIMUM_SUPPORTED
        if ssl.HAS_ALPN:
            context.set_alpn_protocols(["postgresql"])
        root = self._option("sslrootcert") or _own_file("root.crt")
        if self.mode != "require":
            if root and root != SYSTEM:
                _read("sslrootcert", lambda: context.load_verify_locations(cafile=root))
            else:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if crl := self._option("sslcrl") or _own_file("root.crl"):
            _read("sslcrl", lambda: context.load_verify_locations(cafile=crl))
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if certificate := self._option("sslcert") or _own_file("postgresql.crt"):
            key = self._option("sslkey") or _own_file("postgresql.key")
            password = self._options.get("sslpassword", "")  # else OpenSSL would ask for it at the terminal
            _read("sslcert", lambda: context.load_cert_chain(certificate, key, password=lambda: password))
        return context

    def _version(self, name: str) -> ssl.TLSVersion | None:
        said = self._option(name)
        if said is None:
            return None
        try:
            version = ssl.TLSVersion[said.replace(".", "_")]
        except KeyError:
            version = None
        if version is None or version < _OLDEST:
            raise SettingsError(f"{name} must be TLSv1.2 or TLSv1.3: older ones protect nothing")
        return version


_FILES: Final = {
    "sslrootcert": "root.crt",
    "sslcrl": "root.crl",
    "sslcert": "postgresql.crt",
    "sslkey": "postgresql.key",
}


def _read(what: str, read: object) -> None:
    assert callable(read)
    try:
        read()
    except ssl.SSLError:  # an OSError, as those for a file that is not there are
        raise SettingsError(f"the file of {what} does not hold what it should, or not with this key or password") from (
            None
        )


def _own_file(name: str) -> str | None:
    """A file in the folder that libpq looks in, if it is there."""
    with suppress(RuntimeError, OSError):  # nobody's home
        path = (_HOME / name).expanduser()
        return str(path) if path.exists() else None
    return None


def _options_of(dsn: Dsn) -> Mapping[str, str]:
    """Parameters of the address, and for those that it leaves out of the service that it names."""
    said = parameters_of(urlsplit(dsn.reveal()).query)
    if not said.get("service"):
        return said
    import configparser  # takes as long to import as half of this package

    services = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error, UnicodeError, OSError, RuntimeError):  # told when the driver reads it
        services.read(os.environ.get("PGSERVICEFILE") or Path("~/.pg_service.conf").expanduser())
        return {**services[said["service"]], **said} if services.has_section(said["service"]) else said
    return said


def _hosts_of(dsn: Dsn, options: Mapping[str, str]) -> list[str]:
    """As the driver reads them; none: a unix socket or localhost."""
    if dsn.named.hosts:
        return [host.name for host in dsn.named.hosts]
    said = options.get("host") or os.environ.get("PGHOST") or ""
    return [host_of(host) for host in said.split(",") if host]
