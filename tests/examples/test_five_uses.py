"""The examples of bounded work do what they say, on a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.guide import ROOT
from tests.examples.running import printed
from tests.support.databases import Database
from tests.support.pools import witness_of

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


async def test_a_client_with_a_gate_gets_all_its_answers() -> None:
    text = await printed("http_client", "40")
    gate = re.search(r"^gate: (\d+) answers in .*, (\d+) given up, .* at most (\d+) at once", text, re.MULTILINE)
    assert gate is not None, text
    assert (int(gate[1]), int(gate[2])) == (40, 0)
    assert int(gate[3]) <= 5


async def test_a_pool_keeps_to_its_connections(database: Database) -> None:
    text = await printed("connection_pool", "300", dsn=database.dsn)
    assert text.startswith("300 pages in ")
    assert "5 of 5 permits held" in text
    most = re.search(r"counted (\d+) connections at most.*; 0 are held now", text)
    assert most is not None, text
    assert 1 <= int(most[1]) <= 5


async def test_each_file_is_stored_once(database: Database) -> None:
    text = await printed("parallel_files", dsn=database.dsn)
    assert text.splitlines()[0] == "first run: 40 files to do, 19175 lines stored, 1 failed"
    assert "again: 1 files to do, 0 lines stored, 1 failed" in text
    async with witness_of(database) as witness:
        assert await witness.value("select sum(lines) from example_file") == 19175
        assert await witness.value("select count(*) from example_hit") == 19175


async def test_a_queue_stays_within_its_bound(database: Database) -> None:
    text = await printed("producer_consumer", "2000", dsn=database.dsn)
    assert text.startswith("8000 readings of 4 sensors stored")
    longest = re.search(r"never more than (\d+) in the queue of 500", text)
    assert longest is not None, text
    assert int(longest[1]) <= 500


async def test_files_become_a_report(database: Database, tmp_path: Path) -> None:
    lines = ["id,product,day,pieces", *(f"{n},p{n % 3},2026-05-0{n % 9 + 1},2" for n in range(90)), "90,p1,soon,1"]
    (tmp_path / "orders.csv").write_text("\n".join(lines) + "\n")
    text = await printed("etl", str(tmp_path), dsn=database.dsn)
    assert "loaded 90 orders, 1 rejected" in text
    assert "priced 60 of them, 30 have no price" in text  # there is no p0
    assert "again: 0 inserted, 60 updated" in text
    assert (tmp_path / "report.csv").read_text().splitlines()[0] == "product,sales,total"
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 3


def test_a_server_that_is_not_there_ends_an_example_in_a_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "examples/connection_pool.py"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:1/shop"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("no connection to database 'shop' at 127.0.0.1:1 for pool 'shop'")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_says_how_to_run_it_and_is_short(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
    assert f"python examples/{name}.py" in text.split('"""')[1]
    assert len(text.splitlines()) <= 150
