"""What PostgreSQL stores of a password instead of the password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # the server's default; the passwords here are random, so more would only be slower


def scram_verifier(password: str) -> str:
    """Return the SCRAM-SHA-256 verifier of an ASCII *password*, as ``ALTER ROLE ... PASSWORD`` takes it (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_64, stored_64, server_64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt_64}${stored_64}:{server_64}"
