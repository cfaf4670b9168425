"""The short form: a second of broken addresses and hostile servers."""

from __future__ import annotations

import pytest

from tests.rigs.security.run import run
from tests.rigs.security.said import of_error


def test_the_password_is_said_nowhere() -> None:
    found = run(2.0, 7, lambda _: None)
    assert found.violations == []
    assert found.done["addresses refused"] > 100
    assert found.done["pools"] >= 2
    assert found.done["texts searched"] > 100


def test_what_would_say_it_is_found() -> None:
    secret = "hunter2"
    with pytest.raises(ValueError, match="hunter2") as caught:
        int(secret)
    assert secret in of_error(caught.value)
