"""``dbpool loadtest report``: forms, files, and what is no run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbpool.loadtest.report import csv, markdown
from tests.cli.loadtesting import MAIN, QUICK, run, told
from tests.support.databases import Database
from tests.support.loadtestdocument import sample_document
from tests.support.terminals import at_a_terminal

DOCUMENT = sample_document()


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(DOCUMENT))
    return str(path)


def test_help_has_an_example_and_the_exit_codes() -> None:
    code, out, _ = told("report", "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith("Example:  dbpool loadtest report ") for line in lines)
    assert any(line.startswith("Exit codes: 0 ") for line in lines)


async def test_markdown_and_csv_go_to_stdout_as_they_are(saved: str) -> None:
    assert await run("report", saved, "--format", "md") == (0, markdown.text(DOCUMENT), "")
    assert await run("report", saved, "--format", "csv") == (0, csv.text(DOCUMENT), "")


def test_text_is_the_form_without_a_word_about_it(saved: str) -> None:
    code, out, _ = told("report", saved)
    assert code == 0
    assert "At a glance" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("name", "words", "begins"),
    [
        ("report.md", [], "## Load test"),
        ("report.html", [], "<!doctype html>"),
        ("points.csv", [], "id,stage,"),
        ("report.txt", [], "Load test\n"),
        ("report", [], "Load test\n"),
        ("report.md", ["--format", "csv"], "id,stage,"),
    ],
)
def test_a_file_is_written_in_the_form_of_its_name(
    saved: str, tmp_path: Path, name: str, words: list[str], begins: str
) -> None:
    file = tmp_path / name
    assert told("report", saved, "-o", str(file), *words) == (0, "", "")
    assert file.read_text().startswith(begins)
    assert "\x1b" not in file.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (json.dumps(DOCUMENT)[:50_000], "was cut off"),
        ("hello", "is not JSON"),
        ("{}", "no run of dbpool loadtest"),
        ('{"schema": "dbpool.loadtest/9"}', "of the form dbpool.loadtest/9"),
        ('{"schema": "dbpool.loadtest/1"}', "run is missing"),
    ],
)
@pytest.mark.parametrize("form", ["text", "csv"])
def test_what_is_no_run_is_one_sentence_and_exit_code_2(tmp_path: Path, content: str, said: str, form: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    code, out, err = told("report", str(path), "--format", form)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("dbpool loadtest report: ")
    assert len(err.splitlines()) == 1


def test_a_page_is_not_written_to_a_terminal(saved: str) -> None:
    with at_a_terminal(MAIN, ["loadtest", "report", saved, "--format", "html"], columns=80, lines=24) as terminal:
        assert terminal.end() == 2
        assert "give -o FILE" in terminal.text


def test_a_report_that_cannot_be_written_is_exit_code_1(saved: str, tmp_path: Path) -> None:
    code, _, err = told("report", saved, "-o", str(tmp_path / "nowhere" / "report.md"))
    assert code == 1
    assert "No such file or directory" in err
    assert len(err.splitlines()) == 1


def test_a_full_disk_is_exit_code_1(saved: str) -> None:
    code, _, err = told("report", saved, "--format", "csv", "-o", "/dev/full")
    assert code == 1
    assert "No space left on device" in err
    assert "Traceback" not in err


@pytest.mark.slow
async def test_a_run_that_was_just_saved_can_be_shown(database: Database, tmp_path: Path) -> None:
    script, path = tmp_path / "script.sql", tmp_path / "run.json"
    script.write_text("select 1")
    code, out, err = await run("bench", *QUICK, "-f", str(script), "--json", dsn=database.dsn)
    assert code == 0, err
    path.write_text(out)
    for form, part in (("text", "pool of 2"), ("md", "## Load test: bench"), ("csv", "bench,,dbpool")):
        code, out, err = await run("report", str(path), "--format", form)
        assert (code, err) == (0, "")
        assert part in out
