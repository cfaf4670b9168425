"""Certificates as a test needs them, made with the openssl program."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

# As Python's default context wants them since 3.13 (VERIFY_X509_STRICT).
SIGNS = ("-addext", "keyUsage=critical,digitalSignature,keyCertSign")
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key."""

    path: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


def self_signed(folder: Path, name: str, *alternatives: str) -> Certificate:
    """For *name* and *alternatives*, as ``DNS:localhost``; with none it is an authority's."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    names = ["-addext", f"subjectAltName={','.join(alternatives)}"] if alternatives else []
    _openssl("req", "-x509", *CURVE, *SIGNS, "-subj", f"/CN={name}", *names, "-keyout", made.key, "-out", made.path)
    return made


def issued(by: Certificate, name: str, *alternatives: str, days: int = 1) -> Certificate:
    """Signed by an authority; it is over where *days* is negative."""
    folder = by.path.parent
    made = Certificate(folder / f"{name}-{days}.crt", folder / f"{name}-{days}.key")
    request, more = folder / f"{name}.csr", folder / f"{name}.ext"
    more.write_text(
        f"subjectAltName={','.join(alternatives or (f'DNS:{name}',))}\nauthorityKeyIdentifier=keyid\n"
        "basicConstraints=CA:FALSE\n"
    )
    _openssl("req", *CURVE, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    signing = ("-CA", by.path, "-CAkey", by.key, "-CAcreateserial", "-days", str(days), "-extfile", more)
    _openssl("x509", "-req", "-in", request, *signing, "-out", made.path)
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
