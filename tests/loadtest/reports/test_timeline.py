"""The time line on a disk that is full, to readers that are gone or slow, and as it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dbpool.errors import SettingsError
from dbpool.loadtest import ndjson
from dbpool.loadtest.events import Events
from dbpool.loadtest.ndjson import TimeLine

PATIENCE_S = 20.0
SCRIPT = """
import sys
from pathlib import Path
from dbpool.loadtest.ndjson import TimeLine
failures = []
with TimeLine(Path("-"), failures.append) as line:
    for number in range(int(sys.argv[1])):
        line.take({"t": number, "type": "tick", "filling": "x" * 1000})
print("the report")
sys.stderr.write("".join(failures))
"""


def until_told(failures: list[str], line: TimeLine) -> None:
    """Go on telling until it says that it cannot go on."""
    deadline = time.monotonic() + PATIENCE_S
    while not failures:
        assert time.monotonic() < deadline
        line.take({"t": 0, "type": "tick"})
        time.sleep(0.001)


def test_each_event_is_a_line_that_can_be_read_at_once(tmp_path: Path) -> None:
    path, events = tmp_path / "line.ndjson", Events()
    failures: list[str] = []
    deadline = time.monotonic() + PATIENCE_S
    with TimeLine(path, failures.append) as line:
        events.listen(line.take)
        first = events.tell("stage", stage="sweep", text="für größere", points=None, seconds=None)
        while not path.read_text().endswith("\n"):
            assert time.monotonic() < deadline
        assert json.loads(path.read_text()) == first
        events.tell("tick", second=1)
    assert [json.loads(each)["type"] for each in path.read_text().splitlines()] == ["stage", "tick"]
    assert failures == []


def test_an_event_is_written_as_it_was_when_it_happened(tmp_path: Path) -> None:
    path, event = tmp_path / "line.ndjson", {"t": 0, "type": "point", "why": None}
    with TimeLine(path, pytest.fail) as line:
        line.take(event)
        event["why"] = "grow"
    assert json.loads(path.read_text())["why"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_the_time_line_with_one_sentence() -> None:
    failures: list[str] = []
    with TimeLine(Path("/dev/full"), failures.append) as line:
        until_told(failures, line)
        for _ in range(5):
            line.take({"t": 0, "type": "tick"})
    assert failures == ["the time line ends early: No space left on device"]


def test_a_reader_that_has_gone_ends_it_with_one_sentence(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    failures: list[str] = []
    with TimeLine(Path(f"/dev/fd/{writer}"), failures.append) as line:
        os.close(writer)
        os.close(reader)
        until_told(failures, line)
    assert failures == ["the time line ends early: Broken pipe"]


def test_nobody_waits_for_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "PATIENCE_S", 0.2)
    reader, writer = os.pipe()
    failures: list[str] = []
    with TimeLine(Path(f"/dev/fd/{writer}"), failures.append) as line:
        for number in range(2000):  # far more than a pipe holds
            line.take({"t": number, "type": "tick", "filling": "x" * 1000})
    os.close(writer)
    assert failures == ["the time line ends early: nobody took its last lines"]
    while os.read(reader, 1 << 20):  # let the thread come to its end
        pass
    os.close(reader)
    deadline = time.monotonic() + PATIENCE_S
    while any(thread.name == "time line" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_on_stdout_the_report_follows_the_last_line() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "50"], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert [json.loads(line)["t"] for line in lines] == list(range(50))
    assert (last, done.stderr) == ("the report", "")


def test_a_reader_of_stdout_that_has_gone_does_not_end_the_program() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "2000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["t"] == 0
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(PATIENCE_S), said) == (0, "the time line ends early: Broken pipe")


def test_a_file_that_cannot_be_opened_is_a_setting_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file or directory"):
        TimeLine(tmp_path / "nowhere" / "line.ndjson", pytest.fail)
