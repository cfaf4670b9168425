"""Who gets the live page, and who is refused."""

from __future__ import annotations

import pytest

from dbpool.loadtest.live.requests import BadRequest, path_of


def head(first: str = "GET / HTTP/1.1", host: str | None = "127.0.0.1:5665", *more: str) -> bytes:
    lines = [first, *([] if host is None else [f"Host: {host}"]), *more]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("host", ["127.0.0.1:80", "127.0.0.1", "localhost:5665", "LOCALHOST", "[::1]:80", "127.9.9.9"])
def test_who_comes_by_a_name_of_this_machine_is_answered(host: str) -> None:
    assert path_of(head("GET /events?x=1 HTTP/1.1", host)) == "/events"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:127",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::]:80",
        "0.0.0.0",
        "",
        "127.0.0.1@evil.example",
        "[::1",
        "2130706433",
        None,
    ],
)
def test_who_comes_by_another_name_is_refused(host: str | None) -> None:
    refused = host != "[::1"  # without its end it still names nothing else
    if not refused:
        assert path_of(head(host=host)) == "/"
        return
    with pytest.raises(BadRequest, match="403"):
        path_of(head(host=host))


def test_two_hosts_are_refused() -> None:
    with pytest.raises(BadRequest, match="403"):
        path_of(head("GET / HTTP/1.1", "127.0.0.1", "Host: evil.example"))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_someone_else_gets_nothing(site: str) -> None:
    with pytest.raises(BadRequest, match="403"):
        path_of(head("GET / HTTP/1.1", "localhost", f"Sec-Fetch-Site: {site}"))


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PUT", "DELETE", "CONNECT", "get"])
def test_whoever_wants_more_than_to_look_is_refused(method: str) -> None:
    with pytest.raises(BadRequest, match="405"):
        path_of(head(f"{method} / HTTP/1.1"))


@pytest.mark.parametrize(
    "raw", [b"\r\n\r\n", b"GET /\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n"]
)
def test_what_is_no_request_is_told_so(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="400"):
        path_of(raw)


def test_another_version_is_refused() -> None:
    with pytest.raises(BadRequest, match="505"):
        path_of(head("GET / HTTP/2.0"))
