"""The status page's token is in no log and shown by nothing; who may look is in ``tests/web/test_access.py``."""

from __future__ import annotations

import asyncio
import hmac

import pytest

from dbpool import DatabasePool
from dbpool.web import access, status_app
from tests.rigs.security.said import everything_logged
from tests.support.asgiclient import ask

TOKEN = "8Jc0x-a-token-of-some-length"
PATHS = ("/", "/status.json", "/update.json", "/events", "/healthz", "/readyz", "/nowhere", f"/?token={TOKEN}")


async def test_no_log_and_no_answer_says_it() -> None:
    asyncio.get_running_loop().set_debug(True)
    page = status_app(DatabasePool("postgresql://app@127.0.0.1:1/shop"), token=TOKEN)
    said = [repr(page), repr(vars(page)) if hasattr(page, "__dict__") else ""]
    with everything_logged() as log:
        for path in PATHS:
            for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"cookie": f"dbpool={TOKEN}"}):
                response = await ask(page, "GET", path, headers=headers)
                said += [response.text, repr(response.headers)]
        response = await ask(page, "POST", "/", body=f"token={TOKEN}".encode())
        said += [response.text, repr(response.headers), log.take()]
    assert [text for text in said if TOKEN in text] == []


@pytest.mark.parametrize("given", [TOKEN, TOKEN[:-1], "x", TOKEN + "x" * 1000, "\ud800"])
async def test_how_long_a_comparison_takes_says_nothing(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(access, "compare_digest", compare)
    assert (access.Access(TOKEN).admission_by(given) is access.Admission.GRANTED) == (given == TOKEN)
    ((one, other),) = compared
    assert len(one) == len(other) == 32, "digests, so that not even the length shows"
