"""Reading a saved run: it is there whole, or one sentence says what the file is instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbpool.loadtest.saved import NotARun, read_run
from tests.support.loadtestdocument import sample_document

WHOLE = json.dumps(sample_document())


def said(tmp_path: Path, content: bytes) -> str:
    """What reading a file of *content* says."""
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(NotARun) as caught:
        read_run(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_whole_run_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(WHOLE)
    assert read_run(path) == json.loads(WHOLE)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (WHOLE[: len(WHOLE) // 2].encode(), "was cut off"),
        (WHOLE[: WHOLE.index("tpcb-like") + 4].encode(), "was cut off"),
        (b"{", "was cut off"),
        (b"dbpool  10 clients, pool of 10, 10 s", "is not JSON: Expecting value at line 1, column 1"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b'{"t": 0.0, "type": "meta"}\n{"t": 0.1, "type": "tick"}\n', "several JSON documents"),
        (b"[]", "no run of dbpool loadtest"),
        (b'{"schema": "other/1"}', "no run of dbpool loadtest"),
        (b'{"schema": 1}', "no run of dbpool loadtest"),
        (b'{"schema": "dbpool.loadtest/2"}', "of the form dbpool.loadtest/2, and this version of dbpool reads"),
        (b'{"schema": "dbpool.loadtest/1"}', "no whole run of dbpool loadtest: run is missing"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_run_is_said_in_one_sentence(tmp_path: Path, content: bytes, wanted: str) -> None:
    assert wanted in said(tmp_path, content)


def test_wherever_it_was_cut_off_it_says_so(tmp_path: Path) -> None:
    whole = json.dumps({"schema": "dbpool.loadtest/1", "a": [1.5e-3, -2, True, None, {"ü\n": "\\"}], "b": {}})
    for end in range(1, len(whole)):
        assert "was cut off" in said(tmp_path, whole[:end].encode()), whole[:end]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, wanted in ((tmp_path / "nothing.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(NotARun, match=wanted) as caught:
            read_run(path)
        assert str(path) in str(caught.value)


def test_a_foreign_run_moves_no_cursor(tmp_path: Path) -> None:
    document = sample_document()
    document["target"]["version"] = "18\x1b[2J\x9b1m\nx"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert read_run(path)["target"]["version"] == "18?[2J?1m\nx"
