"""What a browser asks for, and who is refused: a page of someone else must not reach this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbpool.core.loopback import host_of, is_loopback

LONGEST: Final = 16_384  # bytes of a request's head; browsers send about 1,000


class BadRequest(Exception):
    """It is not answered with a page; *status* says why."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def path_of(head: bytes) -> str:
    """The path that a request's *head* asks for, without its query.

    Raises:
        BadRequest: it is none of HTTP, asks for more than to look, or comes by a name that is not this machine's.
            A name that an attacker has let point here (DNS rebinding) would make this page one of their own.
    """
    try:
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, version = first.split(" ")
        headers = [_header(line) for line in lines if line]
    except ValueError as error:
        raise BadRequest("400 Bad Request") from error
    if not version.startswith("HTTP/1."):
        raise BadRequest("505 HTTP Version Not Supported")
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) != 1 or not is_loopback(host_of(hosts[0])):
        raise BadRequest("403 Forbidden")
    if any(name == "sec-fetch-site" and value in {"cross-site", "same-site"} for name, value in headers):
        raise BadRequest("403 Forbidden")
    if method != "GET":
        raise BadRequest("405 Method Not Allowed")
    return target.partition("?")[0]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError(line)
    return name.lower(), value.strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets at once."""

    status: str
    body: str = ""
    kind: str = "text/plain"

    def encoded(self) -> bytes:
        """With the headers that keep it to itself."""
        return head_of(self.status, self.kind, length=len(self.body.encode())) + self.body.encode()


def head_of(status: str, kind: str, *, length: int | None) -> bytes:
    """The head of an answer; *length* None: it ends with its connection."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}; charset=utf-8",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Cross-Origin-Resource-Policy: same-origin",
        "Referrer-Policy: no-referrer",
        *([] if length is None else [f"Content-Length: {length}"]),
        *(["Allow: GET"] if status.startswith("405") else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
