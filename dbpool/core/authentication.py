"""What a server may ask for before it has let a client in, read message by message."""

from __future__ import annotations

import re
from typing import Final

from dbpool.errors import InsecureConnection

# RFC 7677 says 4,096 at least, PostgreSQL's default. So many take 25 ms of the event loop, a hostile server's 2^31
# minutes, beyond any time limit.
MOST_ROUNDS: Final = 100_000
# libpq takes no more before it is let in, either: 30,000 bytes for an error.
LONGEST: Final = 64 * 1024

_OK, _CLEAR_TEXT, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 10, 11, 12
_GSS_CONTINUE = 8
_ROUNDS = re.compile(rb",i=(\d+)")  # as the driver looks for it


class Vetting:
    """Reads what a server sends until it is ready for a query, and stops it where it asks for too much.

    Args:
        is_private: nobody can listen: TLS, or a unix socket.
        is_proven: whoever answers has shown a certificate that was checked, or has the unix socket.
    """

    # Always true: what was passed on is a whole number of messages, each of which was looked at.

    def __init__(self, *, is_private: bool, is_proven: bool) -> None:
        self._is_private = is_private
        self._is_proven = is_proven
        self._rest = b""
        self._asked: set[int] = set()
        self._is_let_in = False
        self.is_over = False

    def passed(self, data: bytes) -> bytes:
        """Of what came, and was kept back before, what the driver may see.

        Raises:
            InsecureConnection: the driver must see no more, as it would answer.
        """
        data = self._rest + data
        at = 0
        while len(data) - at >= 5 and not self.is_over:
            length = int.from_bytes(data[at + 1 : at + 5], "big")
            if length < 4 or (length > LONGEST and not self._is_let_in):
                raise InsecureConnection(
                    "what answers does not speak PostgreSQL's protocol: check the host and the port"
                )
            if len(data) - at <= length:
                break
            kind, body = data[at : at + 1], data[at + 5 : at + 1 + length]
            at += 1 + length
            if kind == b"R":
                self._look_at(int.from_bytes(body[:4], "big"), body[4:])
            self.is_over = kind == b"Z"
        if self.is_over:
            at = len(data)
        self._rest = data[at:]
        return data[:at]

    def _look_at(self, request: int, said: bytes) -> None:
        if request in self._asked and request != _GSS_CONTINUE:
            raise InsecureConnection("the server asks the same twice of a client that logs in: nothing more was sent")
        self._asked.add(request)
        if request == _CLEAR_TEXT and not self._is_private:
            raise InsecureConnection(
                "the server asks for the password in clear text on a connection without TLS: it was not sent. Have "
                "the server ask for scram-sha-256 (pg_hba.conf), or connect with sslmode=verify-full"
            )
        if request == _SASL_CONTINUE and not self._is_proven and (rounds := _rounds(said)) > MOST_ROUNDS:
            raise InsecureConnection(
                f"the server asks for a SCRAM proof of {rounds if rounds < 2**31 else 'too many'} rounds, which would "
                f"stop this program for as long as they take: at most {MOST_ROUNDS:,} are computed for a server that "
                f"has shown no certificate. Connect with sslmode=verify-full, or set a lower scram_iterations at the "
                f"server and the password anew"
            )
        if request == _OK:
            if _SASL in self._asked and _SASL_FINAL not in self._asked:
                raise InsecureConnection(
                    "the server has let this client in without having shown that it knows the password: it may be "
                    "another than meant"
                )
            self._is_let_in = True


def _rounds(said: bytes) -> int:
    found = _ROUNDS.search(said)
    if found is None:
        return 0  # the driver refuses that
    return int(found[1]) if len(found[1]) <= 10 else 2**31
